/* Calls `visit` a thousand times, with what conditions may ask for; then `finished`. With an argument as many threads as that do so at once,
   with another one they get signals all the time. `marked` is an instruction of one byte, with the visit's number in %edi. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TURNS = 1000, MOST_THREADS = 16 };
enum color { RED, GREEN, BLUE };

struct thing {
    int number;
    signed char small;
    unsigned char byte;
    unsigned short half;
    long wide;
    enum color color;
    char name[16];
    char *text;
    unsigned flag : 1, field : 5;
    int sign : 4;
    struct thing *next;
};

volatile int visits;
volatile int handled;
volatile int left;
volatile int written;
char text[] = "hay";
static struct thing things[MOST_THREADS];

__attribute__((noinline)) void visit(int number, struct thing *thing, unsigned char *text)
{
    int twice = 2 * number;
    thing->wide += twice; /* visiting */
    __sync_fetch_and_add(&visits, 1);
    __asm__ volatile(".globl marked\nmarked: nop" : : "D"(number));
}

static void *turns(void *argument)
{
    struct thing *thing = argument;
    for (int turn = 0; turn < TURNS; turn++) {
        thing->number = turn;
        thing->small = -turn;
        thing->byte = turn;
        thing->half = -turn;
        thing->color = turn % 3;
        thing->field = turn;
        thing->sign = turn;
        thing->text = turn % 10 ? 0 : thing->name;
        sprintf(thing->name, "turn %d", turn);
        visit(turn, thing, (unsigned char *)thing->name);
    }
    __sync_fetch_and_sub(&left, 1);
    return NULL;
}

static void handler(int number)
{
    __sync_fetch_and_add(&handled, 1);
}

__attribute__((noinline)) void write_once(void)
{
    __asm__ volatile(".globl writes\nwrites: movl $7, %0" : "=m"(written));
}

void finished(void)
{
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 0;
    pthread_t threads[MOST_THREADS];
    signal(SIGUSR1, handler);
    left = count;
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, turns, &things[i]);
    while (argc > 2 && left) {
        for (int i = 0; i < count; i++)
            pthread_kill(threads[i], SIGUSR1);
        usleep(1000);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (!count)
        turns(&things[0]);
    write_once();
    finished();
    return 0;
}
