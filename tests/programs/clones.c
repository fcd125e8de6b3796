/* A clone that is a thread group of its own, in memory of its own or (second argument: vm) in its parent's. The first
   argument says what it does: `signal` itself to death, `exec`, or `outlive` its parent and end with 7. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *way;
static int end[2], begun[2];
volatile int calls;

__attribute__((noinline)) void shared(void)
{
    calls++;
}

static int run(void *unused)
{
    char byte;
    shared();
    if (!strcmp(way, "signal"))
        syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1);
    if (!strcmp(way, "exec"))
        execl("/bin/sh", "sh", "-c", "exit 7", NULL);
    if (write(begun[1], "", 1) != 1 || close(end[1]) != 0 || read(end[0], &byte, 1) != 0)
        _exit(1);
    shared();
    dprintf(1, "clone called %d times\n", calls);
    _exit(7);
}

int main(int argc, char **argv)
{
    int status;
    char byte;
    way = argv[1];
    char *stack = malloc(65536);
    if (pipe(end) != 0 || pipe(begun) != 0)
        return 3;
    int shares = argc > 2 ? CLONE_VM : 0;
    pid_t child = clone(run, stack + 65536, shares, NULL);
    if (!strcmp(way, "outlive"))
        return read(begun[0], &byte, 1) != 1;
    if (child < 0 || waitpid(child, &status, __WALL) != child)
        return 4;
    shared();
    printf("status %x\n", status);
    return 0;
}
