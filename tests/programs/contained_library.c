/* Two editions of a library: in the container's, everything lies elsewhere. */
int total;
__thread int calls_here = 100;

#ifdef IN_CONTAINER
const char *edition = "of the container";
char *takes_space(char *place)
{
    for (int i = 0; i < 100; i++)
        place[i] = (char)(i * i);
    return place;
}
#else
const char *edition = "of the host";
#endif

int library_add(int n)
{
    calls_here++;
    return total += n;
}

int library_total(void)
{
    return total;
}
