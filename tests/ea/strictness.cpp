// One way to break the rules a name: each has to end this program, or to show what MQL5 would do.
#include <cstdio>
#include <iostream>

#include "mql.h"

#include "Rules.mqh"

int main(int, char **arguments) {
    try {
        std::cout << broken(string(arguments[1])) << std::endl;
    } catch (const std::exception &error) {
        std::cout << "thrown: " << error.what() << std::endl;
    }
    return 0;
}
