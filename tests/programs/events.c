/* Does what its first argument names between `begin` and `finish`: makes a child or a thread, becomes itself again, calls the system,
   raises signals. Ends with status 3. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int handled;
volatile int endless = 1;
volatile int held = 1;
static volatile pid_t made;

__attribute__((noinline)) void begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void finish(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void in_thread(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void in_child(void)
{
    __asm__ volatile("");
}

static void handler(int number)
{
    handled++;
}

static void *run(void *argument)
{
    made = gettid();
    in_thread();
    return argument;
}

static void *spin(void *argument)
{
    made = gettid();
    while (endless)
        ;
    return argument;
}

static void *become(void *argument)
{
    execl("/proc/self/exe", "events", NULL);
    return argument;
}

static void judge(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    printf("child status %x\n", status);
}

static void make(void *(*function)(void *))
{
    pthread_t thread;
    char path[64];
    pthread_create(&thread, NULL, function, NULL);
    pthread_join(thread, NULL);
    snprintf(path, sizeof path, "/proc/self/task/%d", made);
    while (access(path, F_OK) == 0) /* it is woken before the kernel is done with the thread */
        ;
}

static void by_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        in_child();
        _exit(5);
    }
    judge(child);
}

static void by_vfork(void)
{
    pid_t child = vfork();
    if (child == 0)
        _exit(5);
    judge(child);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    signal(SIGUSR1, handler);
    begin();
    if (!strcmp(what, "fork"))
        by_fork();
    if (!strcmp(what, "vfork"))
        by_vfork();
    if (!strcmp(what, "thread"))
        make(run);
    if (!strcmp(what, "held")) {
        make(run);
        while (held)
            usleep(1000);
    }
    if (!strcmp(what, "spin"))
        make(spin);
    if (!strcmp(what, "exec"))
        become(NULL);
    if (!strcmp(what, "thread exec"))
        make(become);
    if (!strcmp(what, "calls")) {
        syscall(SYS_getppid);
        syscall(SYS_getuid);
    }
    if (!strcmp(what, "signals"))
        raise(SIGUSR1);
    finish();
    printf("handled %d\n", handled);
    fflush(stdout);
    _exit(3);
}
