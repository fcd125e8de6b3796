/* Becomes the program that its arguments name; with the argument `thread` first, from another thread than the leader. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void *execute(void *arguments)
{
    execv(((char **)arguments)[0], arguments);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[1], "thread") != 0)
        execute(argv + 1);
    pthread_t thread;
    pthread_create(&thread, NULL, execute, argv + 2);
    pthread_join(thread, NULL);
    return 126;
}
