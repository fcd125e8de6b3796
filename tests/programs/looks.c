/* Says by its exit code who has `page` mapped: 1 its child, 2 itself. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void *volatile page;

static int is_mapped(void)
{
    return msync(page, 4096, MS_ASYNC) == 0;
}

int main(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(is_mapped());
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return 100;
    return WEXITSTATUS(status) + 2 * is_mapped();
}
