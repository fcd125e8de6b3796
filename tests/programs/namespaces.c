/* Loads a library, with glibc also into a second namespace, starts a thread, and says where everything is:
   one line for each thing that a test looks up, then `ready`; then it waits for the end of its input. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread long own_number[3] __attribute__((aligned(64))) = {1, 2, 3};
static int *(*locate_late)(void);
static pthread_barrier_t barrier;

static void say_variable(const char *name, void *library, void *address)
{
    struct link_map *map = NULL;
    if (library)
        dlinfo(library, RTLD_DI_LINKMAP, &map);
    printf("variable %s %d %p %p %p\n", name, (int)syscall(SYS_gettid), __builtin_thread_pointer(), (void *)map, address);
}

static void say_library(const char *name, void *library)
{
    struct link_map *map;
    dlinfo(library, RTLD_DI_LINKMAP, &map);
    printf("library %s %p %p %p\n", map->l_name, (void *)map, (void *)map->l_addr, (void *)map->l_ld);
}

static void *other(void *late)
{
    say_variable("own", NULL, &own_number[0]);
    say_variable("late-unused", late, NULL);
#ifdef __GLIBC__
    say_variable("errno", dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), &errno);
#endif
    pthread_barrier_wait(&barrier);
    pause();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    void *late = dlopen(argv[1], RTLD_NOW);
    if (!late || argc != 2)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    locate_late = (int *(*)(void))dlsym(late, "locate");
    say_library("late", late);
#ifdef __GLIBC__
    void *second = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW);
    say_library("second", second);
    say_variable("second-unused", second, NULL);
    say_variable("errno", dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), &errno);
#endif
    say_variable("own", NULL, &own_number[0]);
    say_variable("late", late, locate_late());
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, other, late);
    pthread_barrier_wait(&barrier);
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
