/* Ten threads that turn until `done`, and the leader, which does what its first argument says; handlers count what each thread gets. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 10, QUEUED = 5, SIGNALS = 65 };

volatile int done;
volatile int started;
volatile int got[SIGNALS];
volatile int got_by[THREADS];
volatile long turns;
static __thread int own_number = -1;
static pthread_t threads[THREADS];

static void handler(int number)
{
    __sync_fetch_and_add(&got[number], 1);
    if (own_number >= 0)
        got_by[own_number]++;
}

static void *turning(void *argument)
{
    own_number = (int)(long)argument;
    __sync_fetch_and_add(&started, 1);
    while (!done) {
        turns++;
        usleep(1000);
    }
    return NULL;
}

void checkpoint(void)
{
}

static void to_all(int number, int times)
{
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < times; j++)
            pthread_sigqueue(threads[i], number, (union sigval){0});
}

static int all_got(int times)
{
    for (int i = 0; i < THREADS; i++)
        if (got_by[i] < times)
            return 0;
    return 1;
}

static void block(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
    const char *task = argc > 1 ? argv[1] : "";
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    sigaction(SIGRTMIN + 1, &action, NULL);
    sigaction(SIGRTMAX, &action, NULL);
    if (!strcmp(task, "blocked"))
        block(SIGTRAP);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, turning, (void *)i);
    while (started < THREADS)
        usleep(1000);
    checkpoint();
    if (!strcmp(task, "raise"))
        raise(SIGUSR1);
    if (!strcmp(task, "real-time")) {
        raise(SIGRTMIN + 1);
        raise(SIGRTMAX);
    }
    if (!strcmp(task, "burst")) {
        to_all(SIGUSR1, 1);
        while (!all_got(1))
            usleep(1000);
    }
    if (!strcmp(task, "queue")) {
        to_all(SIGRTMIN + 1, QUEUED);
        while (!all_got(QUEUED))
            usleep(1000);
    }
    if (!strcmp(task, "blocked"))
        to_all(SIGTRAP, 1);
    if (!strcmp(task, "trap"))
        __asm__ volatile("own_trap: int3\n\tafter_own_trap: nop\n\t.globl after_own_trap");
    if (!strcmp(task, "wait")) {
        puts("ready");
        fflush(stdout);
        while (!done)
            usleep(1000);
    }
    checkpoint();
    done = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return got[SIGUSR1] + got[SIGTRAP];
}
