/* Branches to one and the same instruction until a SIGALRM comes, a tenth of a second after the start; ends with 5. */
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

volatile int counter;

static void handle(int number)
{
    counter = 5;
}

void leave(void)
{
    _exit(counter);
}

int main(void)
{
    struct itimerval once = {.it_value = {.tv_usec = 100000}};
    signal(SIGALRM, handle);
    setitimer(ITIMER_REAL, &once, NULL);
    __asm__ volatile(".globl loop\nloop: jmp loop");
    return 0;
}
