/* As many threads as the first argument says: most count their turns, two sleep in read(2) for good. `turn` is each turn's function. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 1000, SLEEPERS = 2 };

volatile long turns[MOST];
volatile long wrong;
volatile pid_t sleepers[SLEEPERS];
int nothing[2];

__attribute__((noinline)) long turn(long n)
{
    return n + 1;
}

static void *count(void *argument)
{
    volatile long *own = argument;
    for (;;) {
        long before = *own;
        *own = turn(before);
        if (*own != before + 1)
            wrong++;
        if (*own % 8 == 0)
            usleep(50000);
    }
}

static void *sleep_on(void *argument)
{
    char byte;
    *(pid_t *)argument = gettid();
    wrong += read(nothing[0], &byte, 1) != 1;
    return argument;
}

int main(int argc, char **argv)
{
    pthread_attr_t small;
    pthread_t thread;
    int threads = atoi(argv[1]);
    if (pipe(nothing) != 0)
        return 1;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < SLEEPERS; i++)
        pthread_create(&thread, &small, sleep_on, (void *)&sleepers[i]);
    for (int i = SLEEPERS + 1; i < threads; i++)
        pthread_create(&thread, &small, count, (void *)&turns[i]);
    puts("ready");
    fflush(stdout);
    getchar();
    return wrong != 0;
}
