// One way to break the rules a name: each has to end this program, or to show what MQL5 would do. Values are shown by
// a name behind the word "value".
#include <cstdio>
#include <iostream>

#include "mql.h"

#include "Rules.mqh"
#include "Values.mqh"

int main(int count, char **arguments) {
    try {
        if (count > 2) return Print(CsValued(arguments[2])), 0;
        std::cout << broken(string(arguments[1])) << std::endl;
    } catch (const std::exception &error) {
        std::cout << "thrown: " << error.what() << std::endl;
    }
    return 0;
}
