/* Thread-local variables of the program, of a library and of libc, with other values in each thread. */
#include <errno.h>
#include <pthread.h>

extern int library_add(int n);
__thread int own_number = 10;

void stopped(void)
{
}

void *other(void *argument)
{
    own_number = 20;
    library_add(2);
    errno = 7;
    stopped();
    return argument;
}

int main(void)
{
    pthread_t thread;
    own_number = 11;
    library_add(1);
    errno = 5;
    pthread_create(&thread, NULL, other, NULL);
    pthread_join(thread, NULL);
    return 0;
}
