/* Makes one child after the other, for good; each runs `shared` and ends. */
#include <signal.h>
#include <unistd.h>

volatile int children;

void shared(void)
{
}

int main(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        pid_t child = fork();
        children++;
        if (child == 0) {
            shared();
            _exit(0);
        }
    }
}
