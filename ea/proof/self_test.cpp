// Runs the terminal's script here.
#include "mql.h"

#include "SelfTest.mq5"

int main() {
    OnStart();
    return 0;
}
