/* Does one thing after the other, each in a function of its own; two more threads sleep meanwhile. Ends with status 3. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

volatile int watched[4];
volatile int handled;
volatile int endless;
char haystack[64] = "..............................................needle";
char scratch[64];
__thread int own = 7;
pthread_barrier_t ready;

void handler(int number)
{
    handled = number;
}

void *sleeping(void *name)
{
    prctl(PR_SET_NAME, name);
    own = 8;
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
}

__attribute__((noinline)) void stop_here(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void touch(void)
{
    watched[0] = 1;
    watched[1] = watched[0] + 1;
}

__attribute__((noinline)) void signals(void)
{
    raise(SIGUSR1);
    raise(SIGUSR2);
}

__attribute__((noinline)) void spin(void)
{
    while (endless)
        ;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_barrier_init(&ready, 0, 3);
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    pthread_create(&thread, 0, sleeping, "sleeper-1");
    pthread_create(&thread, 0, sleeping, "sleeper-2");
    pthread_barrier_wait(&ready);
    stop_here();
    touch();
    signals();
    spin();
    if (argc > 1 && !strcmp(argv[1], "crash"))
        *(volatile int *)16 = 1;
    if (argc > 1 && !strcmp(argv[1], "die"))
        kill(getpid(), SIGKILL);
    _exit(3);
}
