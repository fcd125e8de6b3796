/* The leader ends at once; a thread goes on until the end of its input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *stay(void *argument)
{
    getchar();
    exit(0);
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, stay, NULL);
    pthread_exit(NULL);
}
