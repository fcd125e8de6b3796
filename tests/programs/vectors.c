/* Has known values in vector, x87 and segment registers at `stopped`, and reports what it finds there after. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    uint32_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    double two_and_a_half = 2.5, top = 0;
    __asm__ volatile("vmovdqu %[in], %%ymm0\n\t"
                     "fldl %[half]\n\t"
                     ".globl stopped\n\t"
                     "stopped: nop\n\t"
                     "nop\n\t"
                     "vmovdqu %%ymm0, %[out]\n\t"
                     "fstpl %[top]\n\t"
                     "vzeroupper"
                     : [out] "=m"(out), [top] "=m"(top)
                     : [in] "m"(in), [half] "m"(two_and_a_half)
                     : "xmm0", "st");
    printf("%u %u %u %g\n", out[0], out[4], out[7], top);
    return 0;
}
