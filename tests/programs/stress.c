/* Everything at once, counted. In each generation as many threads as the first argument says pass the breakpoint site,
   signal each other, fork, vfork, end and are born again, while one walks in a loop of known instructions; `closing` ends
   a generation, SIGTERM the program: with 0 when the counts agree and no child ended but by its own exit. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 200, ROUNDS = 12, STACK = 65536, PLAIN = SIGUSR1, QUEUED = 36, PASSED = 37, KINDS = 3, CHILD = 7 };

struct slot {
    pthread_t thread;
    pthread_mutex_t lock;
    int used, open;
};

static struct slot slots[MOST];
static int threads;
static const int signals[KINDS] = {PLAIN, QUEUED, PASSED};

volatile long sent[KINDS], handled[KINDS];
volatile long sites, forks, vforks, guest_sites, odd_children, created, ended, generations, walked, wrong;
volatile int closing, ending;

#define COUNT(what) __atomic_fetch_add(&(what), 1, __ATOMIC_SEQ_CST)

long site(long n);
long side(long n);
void walk(void);
__asm__(".text\n.globl site, side, walk, walk_1, walk_2, walk_3, walk_4, walk_5, walk_end\n"
        "site: nop\n lea 1(%rdi), %rax\n ret\n"
        "side: nop\n lea 2(%rdi), %rax\n ret\n"
        "walk: nop\nwalk_1: xor %eax, %eax\nwalk_2: lock incq walked(%rip)\nwalk_3: cmpl $0, closing(%rip)\n"
        "walk_4: jne walk_end\nwalk_5: jmp walk\nwalk_end: ret\n");

__attribute__((noinline)) void finished(void)
{
    __asm__ volatile("");
}

static void handle(int number)
{
    int before = errno;
    for (int kind = 0; kind < KINDS; kind++)
        if (signals[kind] == number)
            COUNT(handled[kind]);
    errno = before;
}

static void end(int number)
{
    ending = number;
}

/* Only to a thread that is still to come to a system call with no other signal blocked. */
static void send(unsigned *seed, int kind)
{
    struct slot *slot = &slots[rand_r(seed) % threads];
    pthread_mutex_lock(&slot->lock);
    if (slot->open) {
        COUNT(sent[kind]);
        if (pthread_kill(slot->thread, signals[kind]) != 0)
            COUNT(wrong);
    }
    pthread_mutex_unlock(&slot->lock);
}

static void await(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD)
        COUNT(odd_children);
}

static void make_child(void)
{
    COUNT(forks);
    pid_t child = fork();
    if (child == 0)
        _exit(site(1) == 2 && side(1) == 3 ? CHILD : 1);
    await(child);
}

static void make_guest(void)
{
    COUNT(vforks);
    pid_t child = vfork();
    if (child == 0) {
        COUNT(guest_sites);
        _exit(site(1) == 2 ? CHILD : 1);
    }
    await(child);
}

static void *work(void *argument)
{
    struct slot *slot = argument;
    unsigned seed = (unsigned)created + (unsigned)(slot - slots);
    for (int round = 0; round < ROUNDS && !closing; round++) {
        COUNT(sites);
        if (site(round) != round + 1 || side(round) != round + 2)
            COUNT(wrong);
        int chance = rand_r(&seed) % 16;
        if (chance < KINDS)
            send(&seed, chance);
        else if (chance == KINDS)
            make_child();
        else if (chance == KINDS + 1)
            make_guest();
        usleep(1000 * (rand_r(&seed) % 8));
    }
    pthread_mutex_lock(&slot->lock);
    slot->open = 0;
    pthread_mutex_unlock(&slot->lock);
    syscall(SYS_getpid); /* what was sent until now is handled when this returns */
    COUNT(ended);
    return NULL;
}

static void *walk_on(void *argument)
{
    walk();
    return argument;
}

static void begin(struct slot *slot, pthread_attr_t *attributes)
{
    pthread_mutex_lock(&slot->lock);
    COUNT(created);
    slot->used = slot->open = pthread_create(&slot->thread, attributes, work, slot) == 0;
    wrong += !slot->used;
    pthread_mutex_unlock(&slot->lock);
}

static void run_generation(pthread_attr_t *attributes)
{
    pthread_t walker;
    if (pthread_create(&walker, attributes, walk_on, NULL) != 0)
        exit(3);
    while (!closing) {
        for (int i = 0; i < threads && !closing; i++)
            if (!slots[i].used || pthread_tryjoin_np(slots[i].thread, NULL) == 0)
                begin(&slots[i], attributes);
        usleep(2000);
        if (ending)
            closing = 1; /* never written back: a debugger may have set it between a read and a write */
    }
    for (int i = 0; i < threads; i++)
        if (slots[i].used)
            wrong += pthread_join(slots[i].thread, NULL) != 0;
    for (int i = 0; i < threads; i++)
        slots[i].used = 0;
    pthread_join(walker, NULL);
    generations++;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    pthread_attr_t small;
    threads = atoi(argv[1]);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (int i = 0; i < threads; i++)
        pthread_mutex_init(&slots[i].lock, NULL);
    for (int kind = 0; kind < KINDS; kind++)
        sigaction(signals[kind], &action, NULL);
    action.sa_handler = end;
    sigaction(SIGTERM, &action, NULL);
    puts("ready");
    fflush(stdout);
    while (!ending) {
        run_generation(&small);
        closing = 0;
        finished();
    }
    for (int kind = 1; kind < KINDS; kind++)
        wrong += sent[kind] != handled[kind];
    printf("%ld sites, %ld of %ld queued signals, %ld of %ld passed, %ld children, %ld odd, %ld wrong, %ld and %ld threads\n",
           sites, handled[1], sent[1], handled[2], sent[2], forks + vforks, odd_children, wrong, created, ended);
    return wrong != 0 || odd_children != 0 || created != ended;
}
