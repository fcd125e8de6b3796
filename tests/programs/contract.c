/* Comes to `again` for ever. */
char data[32] = "some data that a test may write";
volatile long turns;

__attribute__((noinline)) void again(void)
{
    turns++;
}

int main(void)
{
    for (;;)
        again();
}
