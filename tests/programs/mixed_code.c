/* Threads that run a function of many kinds of instructions, over and over, and check what it computes. Arguments: how
   many threads, and microseconds between SIGALRMs (0: none). It says `ready`, and ends with a line of input. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { ARGUMENTS = 8, MOST = 64, WORDS = 8 };

long mixed(long n, long *memory);
long factor = 7, pattern[2] = {0x0123456789abcdef, 0x1122334455667788};
long expected[ARGUMENTS];
volatile long turns[MOST], wrong, alarms;
volatile int ending, fixed;

__asm__(".text\n.globl mixed, mixed_loop, mixed_after_loop, mixed_end\n"
        "mixed: endbr64\n push %rbp\n mov %rsp, %rbp\n push %rbx\n sub $40, %rsp\n"
        " mov %rdi, %rbx\n mov factor(%rip), %rax\n imul %rbx, %rax\n"
        " movq %rax, %xmm0\n movdqu pattern(%rip), %xmm1\n paddq %xmm1, %xmm0\n movq %xmm0, -24(%rbp)\n"
        " add -24(%rbp), %rax\n lea 3(%rax,%rbx,2), %rdx\n cmp $5, %rbx\n jle 1f\n xor %rdx, %rax\n"
        "1: test $1, %bl\n setne %cl\n movzbl %cl, %ecx\n add %rcx, %rax\n mov $3, %ecx\n"
        "mixed_loop: add %rcx, %rax\n addq $1, -32(%rbp)\n dec %rcx\n jnz mixed_loop\n"
        "mixed_after_loop: mov $2, %ecx\n2: rol $3, %rax\n loop 2b\n"
        " mov %rax, (%rsi)\n mov %rsi, %rdi\n mov $4, %ecx\n cld\n rep stosq\n mov 24(%rsi), %rax\n"
        " push %rsi\n call inner\n lea inner(%rip), %rcx\n call *%rcx\n pop %rsi\n"
        " push %rax\n mov $39, %eax\n syscall\n pop %rax\n"
        " cqo\n mov $7, %ecx\n idiv %rcx\n shl $2, %rax\n bswap %rax\n xchg %rax, %rdx\n add %rdx, %rax\n"
        " mov $0, %r11d\n jmp *table(%rip)\n"
        "3: ud2\n"
        "mixed_end: add $40, %rsp\n pop %rbx\n leave\n ret\n"
        "inner: push %rcx\n xor $0x55, %rax\n cmp $0, %rax\n cmovl %rcx, %rdx\n sbb $0, %rax\n pop %rcx\n ret\n"
        ".data\n.balign 8\ntable: .quad mixed_end\n.text\n");

static void *work(void *argument)
{
    long me = (long)argument, memory[WORDS];
    for (long i = 0; !ending; i++) {
        long n = fixed ? 6 : i % ARGUMENTS;
        if (mixed(n, memory) != expected[n])
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        turns[me]++;
    }
    return NULL;
}

static void count(int number)
{
    (void)number;
    alarms++;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    long period = argc > 2 ? atol(argv[2]) : 0, memory[WORDS];
    pthread_t ids[MOST];
    for (long n = 0; n < ARGUMENTS; n++)
        expected[n] = mixed(n, memory);
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, period}, {0, period}};
    sigaction(SIGALRM, &action, NULL);
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, work, (void *)i);
    if (period)
        setitimer(ITIMER_REAL, &timer, NULL);
    puts("ready");
    fflush(stdout);
    char line[8];
    while (fgets(line, sizeof line, stdin) == NULL && !feof(stdin))
        clearerr(stdin);
    ending = 1;
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return wrong != 0;
}
