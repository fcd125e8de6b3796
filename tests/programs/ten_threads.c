/* Ten threads that begin together: each calls `visit` once, and then `turn` until `done`. With an argument the leader ends it all after
   so many turns of its own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 10 };

volatile int done;
volatile int visits;
volatile int handled[THREADS];
volatile long turns[THREADS];
volatile pid_t ids[THREADS];
static __thread int own_number;
static pthread_barrier_t all_started;

static void handler(int number)
{
    handled[own_number]++;
}

void visit(int number)
{
    __sync_fetch_and_add(&visits, 1);
}

void turn(int number)
{
    turns[number]++;
    usleep(1000);
}

static void *run(void *argument)
{
    own_number = (int)(long)argument;
    ids[own_number] = gettid();
    pthread_barrier_wait(&all_started);
    visit(own_number);
    while (!done)
        turn(own_number);
    return NULL;
}

void ready(void)
{
    puts("ready");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    signal(SIGUSR1, handler);
    pthread_barrier_init(&all_started, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, (void *)i);
    pthread_barrier_wait(&all_started);
    ready();
    for (int i = 0; argc > 1 && i < atoi(argv[1]); i++)
        usleep(1000);
    if (argc > 1)
        done = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("joined");
    return 0;
}
