/* What the servers are made to work on: `work THREADS`, all but one of which sleep.

   main sleeps as well until a debugger chooses a phase and runs to one of the labels. Compiled without -pie, so that
   symbols are addresses. */

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum phase { SLEEP, STEPS, HITS, STRAIGHT, LOOP, SIGNALS };
volatile int phase = SLEEP;
volatile long batch = 100; /* calls of hit, or signals, between two calls of done */
volatile long total;       /* never above a million: the false condition */

uint64_t area[1 << 19];  /* 4 MiB that no run-length encoding makes smaller */
uint64_t sink[1 << 19];  /* to be written to */

static pthread_barrier_t started;

static void *sleeper(void *unused)
{
    pthread_barrier_wait(&started);
    for (;;)
        pause();
    return unused;
}

static void on_signal(int number)
{
    (void)number;
}

#define LABEL(name) __asm__ volatile(".globl " #name "\n" #name ":" ::: "memory")
#define ALONE __attribute__((noinline, noclone))

ALONE void ready(void)
{
    LABEL(ready_here);
}

ALONE void done(void)
{
    LABEL(done_here);
}

ALONE void hit(int amount)
{
    LABEL(hit_here);
    total = (total + amount) & 1023;
}

ALONE void steps(void) /* 7 instructions */
{
    __asm__ volatile(".globl steps_start, steps_end\n"
                     "steps_start:\n"
                     "1: add $1, %%rax\n"
                     "   mov %%rax, %%rdx\n"
                     "   shl $3, %%rdx\n"
                     "   lea 5(%%rdx, %%rax), %%rcx\n"
                     "   xor %%rcx, %%rdx\n"
                     "   cmpl $1, phase(%%rip)\n"
                     "   je 1b\n"
                     "steps_end: nop\n" ::: "rax", "rcx", "rdx", "cc", "memory");
}

ALONE void straight(void) /* 20 instructions */
{
    __asm__ volatile(".globl straight_start, straight_end\n"
                     "straight_start:\n"
                     ".rept 5\n"
                     "   add $1, %%rax\n"
                     "   mov %%rax, %%rdx\n"
                     "   shl $3, %%rdx\n"
                     "   lea 5(%%rdx, %%rax), %%rcx\n"
                     ".endr\n"
                     "straight_end: nop\n" ::: "rax", "rcx", "rdx", "cc");
}

ALONE void loop(void) /* 3,001 instructions */
{
    __asm__ volatile(".globl loop_start, loop_end\n"
                     "loop_start:\n"
                     "   mov $1000, %%ecx\n"
                     "1: add $3, %%rax\n"
                     "   dec %%ecx\n"
                     "   jnz 1b\n"
                     "loop_end: nop\n" ::: "rax", "rcx", "cc");
}

static void work(void)
{
    long i;

    switch (phase) {
    case STEPS:
        steps();
        break;
    case HITS:
        for (i = 0; i < batch; i++)
            hit(1);
        done();
        break;
    case STRAIGHT:
        straight();
        break;
    case LOOP:
        loop();
        break;
    case SIGNALS:
        for (i = 0; i < batch; i++)
            raise(SIGUSR1);
        done();
        break;
    default:
        pause();
    }
}

static void fill(void) /* client.c makes the same */
{
    uint64_t x = 88172645463325252u;
    size_t i;

    for (i = 0; i < sizeof area / sizeof *area; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        area[i] = x;
        sink[i] = i;
    }
}

/* In a session of its own, which lldb-server gives it, a process has not got the precedence of the benchmark. */
static void take_precedence(void)
{
    FILE *group = getpriority(PRIO_PROCESS, 0) < 0 ? fopen("/proc/self/autogroup", "w") : NULL;

    if (!group)
        return;
    fprintf(group, "%d", getpriority(PRIO_PROCESS, 0));
    fclose(group);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    int i;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left behind when the server dies, */
    if (getppid() == 1)
        return 1; /* or has died already */
    take_precedence();
    fill();
    signal(SIGUSR1, on_signal);
    pthread_barrier_init(&started, NULL, (unsigned)threads);
    for (i = 1; i < threads; i++) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        if (pthread_create(&thread, &attributes, sleeper, NULL) != 0)
            return 1;
    }
    pthread_barrier_wait(&started);
    ready();
    for (;;)
        work();
}
