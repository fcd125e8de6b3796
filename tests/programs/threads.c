/* Four named threads that count, each for itself, until `done` is set; the first argument ends them after so many turns. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4 };

volatile long turns[THREADS];
volatile int done;
long last_turn;
__thread int own_number = -1;
pthread_barrier_t all_started;

void work(int number)
{
    turns[number]++;
}

void *counting(void *argument)
{
    char name[16];
    own_number = (int)(long)argument;
    snprintf(name, sizeof name, "counter-%d", own_number);
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&all_started);
    while (!done && (!last_turn || turns[own_number] < last_turn)) {
        work(own_number);
        usleep(1000);
    }
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
    last_turn = argc > 1 ? atol(argv[1]) : 0;
    pthread_barrier_init(&all_started, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, counting, (void *)i);
    pthread_barrier_wait(&all_started);
    ready();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("joined");
    return 0;
}
