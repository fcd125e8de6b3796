/* Of its arguments the first says what it does, and the rest is a command. `execute`: becomes it; `spawn`: waits for it and ends as it
   does; `hide`: nobody without rights may look at its memory any more, and it makes a child in either way, which end with 1 and 2.
   Without arguments: ends with 5 if it has rights of somebody else, else with 4. */
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int status_of(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

void called(void)
{
}

int main(int argc, char **argv)
{
    pid_t child;
    int sum = 0;
    if (argc == 1)
        return geteuid() != getuid() ? 5 : 4;
    called();
    if (!strcmp(argv[1], "execute")) {
        execv(argv[2], argv + 2);
        return 98;
    }
    if (!strcmp(argv[1], "spawn"))
        return posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) == 0 ? status_of(child) : 97;
    prctl(PR_SET_DUMPABLE, 0);
    child = fork();
    if (child == 0)
        _exit(1);
    sum += status_of(child);
    child = vfork();
    if (child == 0)
        _exit(2);
    return sum + status_of(child);
}
