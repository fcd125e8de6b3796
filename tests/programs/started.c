/* Says how it was started, then what it reads, line by line; exits with the number of its arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

void told(void)
{
}

int main(int argc, char **argv)
{
    char line[4096];
    for (int i = 1; i < argc; i++)
        printf("argument %d is <%s>\n", i, argv[i]);
    printf("directory is <%s>\n", getcwd(line, sizeof line));
    for (char **variable = environ; *variable; variable++)
        printf("variable <%s>\n", *variable);
    for (int stream = 0; stream < 3; stream++)
        printf("stream %d is %sa terminal\n", stream, isatty(stream) ? "" : "not ");
    fprintf(stderr, "an error\n");
    told();
    fflush(stdout);
    while (argc > 1 && fgets(line, sizeof line, stdin))
        printf("read <%s", line);
    return argc - 1;
}
