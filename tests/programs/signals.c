/* Raises signals at itself and counts what its handlers see. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

volatile int handled_usr1, handled_usr2;
volatile int last_value;

void on_usr1(int number)
{
    handled_usr1++;
}

void on_usr2(int number, siginfo_t *information, void *context)
{
    handled_usr2++;
    last_value = information->si_value.sival_int;
}

void checkpoint(void)
{
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_usr2, .sa_flags = SA_SIGINFO};
    signal(SIGUSR1, on_usr1);
    sigaction(SIGUSR2, &action, NULL);
    checkpoint();
    raise(SIGUSR1);
    checkpoint();
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 42});
    checkpoint();
    return 10 * handled_usr1 + handled_usr2;
}
