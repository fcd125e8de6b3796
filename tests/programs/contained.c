/* Says `ready`, then a thread calls a library until the end of the input; the exit code is 0 if no call was lost. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

extern int library_add(int n);
extern int library_total(void);
__thread int own_number = 10;
volatile int done;
int calls;

static void *counting(void *argument)
{
    own_number = 20;
    while (!done) {
        library_add(2);
        calls++;
        usleep(1000);
    }
    return argument;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, counting, NULL);
    puts("ready");
    fflush(stdout);
    getchar();
    done = 1;
    pthread_join(thread, NULL);
    return library_total() != 2 * calls;
}
