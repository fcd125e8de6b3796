/* A library to be loaded late: its thread-local block comes into being at each thread's first use. */
__thread char padding[5000] = {1};
__thread int late_number = 7;

int *locate(void)
{
    return &late_number;
}
