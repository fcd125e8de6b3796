/* Four threads that call `work` as fast as they can until `done` is set, then the exit code is 6; `leave` ends the process at once. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 4 };

volatile int done;
volatile long counts[THREADS];

void work(volatile long *count)
{
    ++*count;
}

static void *counting(void *argument)
{
    while (!done)
        work(argument);
    return NULL;
}

void started(void)
{
}

void leave(void)
{
    __asm__ volatile(".globl leave_call\n\tleave_call: syscall" : : "a"(SYS_exit_group), "D"(9) : "rcx", "r11", "memory");
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, counting, (void *)&counts[i]);
    started();
    if (argc > 1)
        leave();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 6;
}
