/* Two threads call `visit` every millisecond until `done` is set, and the leader has children that call it, too; the exit code is 40, and one
   more for each child that did not exit with 17. With the argument `say` it says `ready`, with `alone` it has no children. `marked` is an
   instruction of one byte, with the visit's number in %edi. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BETWEEN_CHILDREN = 20 };

volatile int done, visits, handled, children, failures;

__attribute__((noinline)) void visit(int number)
{
    __sync_fetch_and_add(&visits, 1);
    __asm__ volatile(".globl marked\nmarked: nop" : : "D"(number));
}

static void handler(int number)
{
    __sync_fetch_and_add(&handled, 1);
}

static void have_child(void)
{
    int status = 0;
    pid_t child = children % 2 ? fork() : vfork();
    if (child == 0) {
        visit(-1);
        _exit(17);
    }
    while (waitpid(child, &status, 0) != child)
        continue;
    if (status != 17 << 8)
        failures++;
    children++;
}

static void *visiting(void *argument)
{
    while (!done) {
        visit(1000000);
        usleep(1000);
    }
    return argument;
}

int main(int argc, char **argv)
{
    const char *task = argc > 1 ? argv[1] : "";
    pthread_t thread;
    signal(SIGUSR1, handler);
    pthread_create(&thread, NULL, visiting, NULL);
    if (!strcmp(task, "say"))
        puts("ready");
    fflush(stdout);
    for (int number = 0; !done; number++) {
        visit(number);
        if (number % BETWEEN_CHILDREN == 0 && strcmp(task, "alone"))
            have_child();
        usleep(1000);
    }
    pthread_join(thread, NULL);
    return 40 + failures;
}
