/* Two threads asleep in system calls that the kernel restarts in different ways; the exit code counts what went wrong. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int ends[2];
volatile int failures;
volatile int calls;
volatile pid_t reader_id, sleeper_id;

int call(int n)
{
    calls++;
    return n + 1;
}

void *read_one(void *argument)
{
    char byte;
    reader_id = gettid();
    if (read(ends[0], &byte, 1) != 1)
        failures++;
    return NULL;
}

void *sleep_long(void *argument)
{
    struct timespec begin, end, delay = {.tv_sec = 1};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    sleeper_id = gettid();
    if (nanosleep(&delay, NULL) != 0)
        failures++;
    clock_gettime(CLOCK_MONOTONIC, &end);
    if ((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec < 1000000000L)
        failures++;
    return NULL;
}

static void wait_until_asleep(volatile pid_t *thread)
{
    char path[64], state = 0;
    while (state != 'S') {
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", *thread);
        FILE *stat = fopen(path, "r");
        if (stat && *thread) {
            fscanf(stat, "%*d %*s %c", &state);
            fclose(stat);
        }
    }
}

void asleep(void)
{
}

int main(void)
{
    pthread_t reader, sleeper;
    if (pipe(ends) != 0)
        return 100;
    pthread_create(&reader, NULL, read_one, NULL);
    pthread_create(&sleeper, NULL, sleep_long, NULL);
    wait_until_asleep(&reader_id);
    wait_until_asleep(&sleeper_id);
    asleep();
    if (write(ends[1], "x", 1) != 1)
        return 101;
    pthread_join(reader, NULL);
    pthread_join(sleeper, NULL);
    return failures;
}
