/* A vfork child stays in its parent's memory until `may_end`; the exit code is the child's. Its parent is a `thread`, the `leader`, or a leader that is `alone`. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int may_fork, may_end;
volatile int child_is_there;
volatile int calls;

void shared(void)
{
    calls++;
}

static void *keep(void *argument)
{
    int status;
    while (!may_fork)
        usleep(1000);
    pid_t child = vfork();
    if (child == 0) {
        shared();
        child_is_there = 1;
        while (!may_end)
            usleep(1000);
        shared();
        _exit(11);
    }
    waitpid(child, &status, 0);
    return (void *)(long)(status == 11 << 8 ? 11 : 200);
}

static void *idle(void *argument)
{
    while (!may_end)
        usleep(1000);
    return argument;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    void *result;
    int in_thread = !strcmp(argv[1], "thread");
    if (strcmp(argv[1], "alone") != 0)
        pthread_create(&thread, NULL, in_thread ? keep : idle, NULL);
    puts("ready");
    fflush(stdout);
    if (in_thread)
        pthread_join(thread, &result);
    else
        result = keep(NULL);
    shared();
    printf("%d calls\n", calls);
    return (long)result;
}
