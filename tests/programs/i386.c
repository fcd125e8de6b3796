/* A 32-bit program without a C library: whatever builds the others builds it, with -m32 -nostdlib -static.
   Its argument says what it does after a few steps: threads, signals, fault, children, execute PROGRAM, pause, turn. */
/* asm/unistd_32.h */
enum { EXIT = 1, FORK = 2, WRITE = 4, EXECVE = 11, GETPID = 20, PAUSE = 29, KILL = 37, CLONE = 120, YIELD = 158,
       RT_SIGACTION = 174, RT_SIGQUEUEINFO = 178, SET_THREAD_AREA = 243, WAITID = 284 };
enum { THREADS = 2, STACK = 4096, SIGUSR1 = 10, SIGUSR2 = 12, SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SI_QUEUE = -1 };
/* CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS */
enum { OF_THREADS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 };

struct user_desc { unsigned entry_number, base, limit, flags; };
struct thread { char variables[64]; void *self; struct user_desc area; char stack[STACK]; };
struct kernel_sigaction {
    void (*handler)(int, int *, void *);
    unsigned flags;
    void (*restorer)(void);
    unsigned mask[2];
};

volatile int counter, finished, handled, last_value, turns;
volatile long long wide;
double ratio = 1.5;
static struct thread blocks[THREADS + 1];
__thread int own_number;

static int call(int number, int a, void *b, void *c, void *d)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return result;
}

static int clone_thread(int flags, void *stack, struct user_desc *area)
{
    int result;
    __asm__ volatile("int $0x80; test %%eax, %%eax; jnz 1f; pop %%eax; call *%%eax; 1:"
                     : "=a"(result) : "a"(CLONE), "b"(flags), "c"(stack), "d"(0), "S"(area) : "memory");
    return result;
}

int add(int a, int b)
{
    counter++;
    wide += 0x100000001LL;
    return a + b;
}

void arrived(void)
{
}

static struct user_desc *prepare(int number)
{
    struct thread *block = &blocks[number];
    block->self = &block->self;
    block->area = (struct user_desc){-1, (unsigned)&block->self, 0xfffff, 0x51};
    return &block->area;
}

static void run(int number)
{
    own_number = 10 * number;
    arrived();
    __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
    call(EXIT, 0, 0, 0, 0);
}

static void threads(int entry)
{
    for (int number = 1; number <= THREADS; number++) {
        struct user_desc *area = prepare(number);
        void **stack = (void **)(blocks[number].stack + STACK) - 4;
        area->entry_number = entry;
        stack[0] = run;
        stack[1] = (void *)number;
        clone_thread(OF_THREADS, stack, area);
    }
    while (finished < THREADS)
        call(YIELD, 0, 0, 0, 0);
}

static void on_signal(int number, int *information, void *context)
{
    handled = number;
    last_value = information[5];
}

void __restore_rt(void); /* rt_sigreturn, by the name and behind the nop that debuggers know */
__asm__("nop; __restore_rt: mov $173, %eax; int $0x80");

static void signals(void)
{
    struct kernel_sigaction action = {on_signal, SA_SIGINFO | SA_RESTORER, __restore_rt, {0, 0}};
    int pid = call(GETPID, 0, 0, 0, 0);
    int information[32] = {SIGUSR2, 0, SI_QUEUE, pid, 0, 0x12345678};
    call(RT_SIGACTION, SIGUSR1, &action, 0, (void *)8);
    call(RT_SIGACTION, SIGUSR2, &action, 0, (void *)8);
    call(KILL, pid, (void *)SIGUSR1, 0, 0);
    call(RT_SIGQUEUEINFO, pid, (void *)SIGUSR2, information, 0);
    arrived();
}

static void children(void)
{
    int child = call(FORK, 0, 0, 0, 0);
    if (child == 0)
        call(EXIT, 3, 0, 0, 0);
    call(WAITID, 0, 0, 0, (void *)4); /* P_ALL, WEXITED */
}

static int is(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

int main(int argc, char **argv, char **environment)
{
    struct user_desc *area = prepare(0);
    call(SET_THREAD_AREA, (int)area, 0, 0, 0);
    __asm__ volatile("mov %0, %%gs" : : "r"(area->entry_number * 8 + 3));
    own_number = 7;
    add(1, 2);
    add(3, 4);
    call(WRITE, 1, "ready\n", (void *)6, 0);
    const char *what = argc > 1 ? argv[1] : "";
    if (is(what, "threads"))
        threads(area->entry_number);
    else if (is(what, "signals"))
        signals();
    else if (is(what, "fault"))
        *(volatile int *)0x10 = 1;
    else if (is(what, "children"))
        children();
    else if (is(what, "execute"))
        call(EXECVE, (int)argv[2], argv + 2, environment, 0);
    else if (is(what, "pause"))
        call(PAUSE, 0, 0, 0, 0);
    while (is(what, "turn"))
        turns++;
    return counter;
}

__asm__(".globl _start; _start: mov (%esp), %eax; lea 4(%esp), %ecx; lea 8(%esp,%eax,4), %edx;"
        "and $-16, %esp; push $0; push %edx; push %ecx; push %eax; call main;"
        "mov %eax, %ebx; mov $252, %eax; int $0x80"); /* exit_group */
