/* Makes a child in the way that the first argument names; parent and child run `shared`, and the parent judges the child. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
volatile int calls;

void shared(void)
{
    calls++;
}

void made(int status)
{
    printf("child status %d\n", status);
}

static int status_of(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

static int by_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        shared();
        _exit(calls == 1 ? 0 : 1);
    }
    return status_of(child);
}

static int by_vfork(void)
{
    pid_t child = vfork();
    if (child == 0) {
        shared();
        _exit(0);
    }
    return status_of(child);
}

static int by_posix_spawn(void)
{
    char *arguments[] = {"sh", "-c", "exit 0", NULL};
    pid_t child;
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) != 0)
        return -1;
    return status_of(child);
}

static int by_popen(void)
{
    char line[8] = "";
    FILE *pipe = popen("echo yes", "r");
    if (!pipe || !fgets(line, sizeof line, pipe) || strcmp(line, "yes\n") != 0)
        return -1;
    return pclose(pipe);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "fork";
    int status = !strcmp(way, "fork")          ? by_fork()
                 : !strcmp(way, "vfork")       ? by_vfork()
                 : !strcmp(way, "posix_spawn") ? by_posix_spawn()
                 : !strcmp(way, "popen")       ? by_popen()
                                               : system("exit 0");
    shared();
    made(status);
    return status != 0;
}
