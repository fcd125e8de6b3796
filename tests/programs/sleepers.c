/* Threads asleep in read(2) and nanosleep(2), and the leader in a loop; the exit code counts calls that went wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

int ends[2];
volatile int failures, calls, done;
volatile pid_t reader_id, sleeper_id;

long call(long n)
{
    calls++;
    return n + 1;
}

void returned(void)
{
}

static void *reader(void *argument)
{
    char byte;
    reader_id = gettid();
    if (read(ends[0], &byte, 1) != 1)
        failures++;
    return argument;
}

static void *sleeper(void *argument)
{
    struct timespec begin, end, delay = {.tv_nsec = 500000000};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    sleeper_id = gettid();
    if (nanosleep(&delay, NULL) != 0)
        failures++;
    clock_gettime(CLOCK_MONOTONIC, &end);
    if ((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec < delay.tv_nsec)
        failures++;
    return argument;
}

int main(void)
{
    pthread_t threads[2];
    if (pipe(ends) != 0)
        return 100;
    pthread_create(&threads[0], NULL, reader, NULL);
    pthread_create(&threads[1], NULL, sleeper, NULL);
    while (!done)
        usleep(1000);
    if (write(ends[1], "x", 1) != 1)
        return 101;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return failures;
}
