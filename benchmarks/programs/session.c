/* What GDB and LLDB debug by name and by line: `session THREADS`, all but one of which sleep. */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

volatile long total; /* never above a million: the false condition */

static pthread_barrier_t started;

static void *sleeper(void *unused)
{
    pthread_barrier_wait(&started);
    for (;;)
        pause();
    return unused;
}

static void start_threads(int threads)
{
    pthread_t thread;

    pthread_barrier_init(&started, NULL, (unsigned)threads);
    while (--threads > 0)
        pthread_create(&thread, NULL, sleeper, NULL);
    pthread_barrier_wait(&started);
}

int f(int value)
{
    return value + 41;
}

void here(void)
{
    total = 0;
}

int deep(int calls)
{
    if (calls == 0)
        here();
    else
        calls = deep(calls - 1);
    return calls + 1;
}

void hit(int amount)
{
    total = (total + amount) & 1023;
}

void finished(void)
{
    total = 0;
}

int main(int argc, char **argv)
{
    int i, value;

    value = argc;
    value += 2;
    value = f(value);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left behind when the server dies, */
    if (getppid() == 1)
        return 1; /* or has died already */
    start_threads(atoi(argv[1]));
    deep(10);
    for (i = 0; i < 100; i++)
        hit(1);
    finished();
    for (;;)
        pause();
    return value;
}
