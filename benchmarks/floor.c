/* What the machine itself takes, with no debug server in between.

     floor echo                                        serves one client: $#00 for each packet; prints its port first
     floor PROGRAM NAME=ADDRESS ... MEASUREMENT:N ...  drives programs/work.c by bare ptrace calls

   The measurements are `step` (PTRACE_SINGLESTEP and waitpid) and `breakpoint` (the trap taken out, a step, the trap put
   back, PTRACE_CONT, waitpid, the program counter put back). Prints lines as client.c does. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 1, HITS = 2 }; /* phases of programs/work.c */

static pid_t child;

static void check(int good, const char *what)
{
    if (good)
        return;
    printf("%s failed %m\n", what);
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* --- the echo server --- */

static int echo(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client, on = 1;
    char buffer[4096];

    check(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0, "listening");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("Listening on port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    client = accept(listener, NULL, NULL);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (recv(client, buffer, sizeof buffer, 0) > 0)
        if (send(client, "$#00", 4, MSG_NOSIGNAL) != 4)
            break;
    return 0;
}

/* --- bare ptrace --- */

static struct { const char *name; uint64_t address; } symbols[64];
static int symbol_count;

static uint64_t symbol(const char *name)
{
    for (int i = 0; i < symbol_count; i++)
        if (strcmp(symbols[i].name, name) == 0)
            return symbols[i].address;
    check(0, name);
    return 0;
}

static void resume(int request)
{
    int status;

    ptrace(request, child, 0, 0);
    check(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "waiting");
}

static long insert(uint64_t address)
{
    long word = ptrace(PTRACE_PEEKDATA, child, address, 0);

    ptrace(PTRACE_POKEDATA, child, address, (word & ~0xffL) | 0xcc);
    return word;
}

/* After a trap: its byte as it was, and the program counter on it. */
static void rewind_to(uint64_t address)
{
    size_t offset = offsetof(struct user, regs.rip);

    check((uint64_t)ptrace(PTRACE_PEEKUSER, child, offset, 0) == address + 1, "the place of the trap");
    ptrace(PTRACE_POKEUSER, child, offset, address);
}

static void run_to(uint64_t address)
{
    long word = insert(address);

    resume(PTRACE_CONT);
    ptrace(PTRACE_POKEDATA, child, address, word);
    rewind_to(address);
}

static double step(void)
{
    double start = now();

    resume(PTRACE_SINGLESTEP);
    return now() - start;
}

static double breakpoint(void)
{
    uint64_t address = symbol("hit_here");
    double start = now();
    long word = ptrace(PTRACE_PEEKDATA, child, address, 0) & ~0xffL;

    ptrace(PTRACE_POKEDATA, child, address, word | 0x8b); /* the instruction's own first byte */
    resume(PTRACE_SINGLESTEP);
    ptrace(PTRACE_POKEDATA, child, address, word | 0xcc);
    resume(PTRACE_CONT);
    rewind_to(address);
    return now() - start;
}

static int ascending(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static void run(const char *name, int repetitions)
{
    double *times = calloc((size_t)repetitions, sizeof *times);
    int steps = strcmp(name, "step") == 0;

    ptrace(PTRACE_POKEDATA, child, symbol("phase"), (long)(steps ? STEPS : HITS));
    run_to(symbol(steps ? "steps_start" : "hit_here"));
    if (!steps)
        check((insert(symbol("hit_here")) & 0xff) == 0x8b, "the instruction at hit_here");
    for (int i = 0; i < repetitions; i++)
        times[i] = steps ? step() : breakpoint();
    if (!steps)
        ptrace(PTRACE_POKEDATA, child, symbol("hit_here"),
               (ptrace(PTRACE_PEEKDATA, child, symbol("hit_here"), 0) & ~0xffL) | 0x8b);
    qsort(times, (size_t)repetitions, sizeof *times, ascending);
    printf("%s %.0f %.0f\n", name, times[0], times[repetitions / 2]);
    free(times);
}

static void start(const char *program)
{
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execl(program, program, "1", NULL);
        _exit(127);
    }
    check(waitpid(child, NULL, 0) == child, "waiting for exec");
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL);
    run_to(symbol("ready_here"));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "echo") == 0)
        return echo();
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value || symbol_count == sizeof symbols / sizeof *symbols)
            continue;
        *value++ = '\0';
        symbols[symbol_count].name = argv[i];
        symbols[symbol_count++].address = strtoull(value, NULL, 16);
        argv[i] = NULL;
    }
    start(argv[1]);
    for (int i = 2; i < argc; i++) {
        char *repetitions = argv[i] ? strchr(argv[i], ':') : NULL;
        if (!repetitions)
            continue;
        *repetitions++ = '\0';
        run(argv[i], atoi(repetitions));
    }
    kill(child, SIGKILL);
    return 0;
}
