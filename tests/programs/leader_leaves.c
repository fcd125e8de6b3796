/* The leader ends by a bare system call, after `leaving`; a thread stays until `released`, and ends the process with 3. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

volatile int released;
volatile long turns;

static void *stay(void *argument)
{
    while (!released) {
        turns++;
        usleep(1000);
    }
    exit(3);
    return argument;
}

void leaving(void)
{
    __asm__ volatile(".globl leaving_call\n\tleaving_call: syscall" : : "a"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, stay, NULL);
    leaving();
}
