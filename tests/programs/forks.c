/* Makes 100 children that run `shared` while four threads run `work` 50 times each; the exit code counts children that did not exit with 17.
   With an argument it says `ready` and waits for `may_begin`. It makes no child while `may_fork` is 0. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, TIMES = 50, CHILDREN = 100 };

volatile int failures, may_begin, may_fork = 1;
int worked;

void work(void)
{
    __sync_fetch_and_add(&worked, 1);
}

int shared(void)
{
    return 17;
}

static void *working(void *argument)
{
    for (int i = 0; i < TIMES; i++)
        work();
    return argument;
}

void finished(void)
{
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    if (argc > 1) {
        puts("ready");
        fflush(stdout);
        while (!may_begin)
            usleep(1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, working, NULL);
    while (!may_fork)
        usleep(1000);
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        pid_t child = i % 2 ? fork() : vfork();
        if (child == 0)
            _exit(shared());
        if (waitpid(child, &status, 0) != child || status != 17 << 8)
            failures++;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    finished();
    return failures;
}
