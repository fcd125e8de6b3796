/* Makes a child that shares its memory, by `clone` or `vfork` as the argument says; it waits for `may_go`, calls `called` three times and
   ends with 7. Ends as the child does, with 100 and the signal's number if that was killed. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int may_go;
static char stack[65536] __attribute__((aligned(16)));

__attribute__((noinline)) void called(void)
{
    __asm__ volatile("");
}

static int child(void *argument)
{
    while (!may_go)
        usleep(1000);
    for (int i = 0; i < 3; i++)
        called();
    _exit(7);
}

int main(int argc, char **argv)
{
    int status;
    pid_t made;
    if (!strcmp(argv[1], "clone")) {
        made = clone(child, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    } else {
        made = vfork();
        if (made == 0)
            child(NULL);
    }
    waitpid(made, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}
