/* Two threads sleep in system calls that the kernel restarts in different ways, at `checkpoint`; the exit code counts calls that went wrong. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int ends[2];
volatile int failures;
volatile pid_t ids[2];

long call(long n)
{
    return n + 1;
}

void checkpoint(void)
{
}

static void *reader(void *argument)
{
    char byte;
    ids[0] = gettid();
    if (read(ends[0], &byte, 1) != 1)
        failures++;
    return argument;
}

static void *sleeper(void *argument)
{
    struct timespec delay = {.tv_sec = 1};
    ids[1] = gettid();
    if (nanosleep(&delay, NULL) != 0)
        failures++;
    return argument;
}

static void await_sleep(volatile pid_t *id)
{
    char path[64], state = 0;
    while (state != 'S') {
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", *id);
        FILE *file = *id ? fopen(path, "r") : NULL;
        if (file) {
            if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
                state = 0;
            fclose(file);
        }
        usleep(1000);
    }
}

int main(void)
{
    pthread_t threads[2];
    if (pipe(ends) != 0)
        return 100;
    pthread_create(&threads[0], NULL, reader, NULL);
    pthread_create(&threads[1], NULL, sleeper, NULL);
    await_sleep(&ids[0]);
    await_sleep(&ids[1]);
    checkpoint();
    if (write(ends[1], "x", 1) != 1)
        return 101;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return failures;
}
