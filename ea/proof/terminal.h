// Everything that an Expert Advisor may call: MQL5's language and the terminal around it, which is as real as it can be
// without a terminal: files on the disk, requests over sockets, and a broker in a process of its own.
#ifndef COUNTERSIGN_PROOF_TERMINAL_H
#define COUNTERSIGN_PROOF_TERMINAL_H

#include "mql.h"
#include "terminal/chart.h"
#include "terminal/files.h"
#include "terminal/globals.h"
#include "terminal/history.h"
#include "terminal/platform.h"
#include "terminal/queries.h"
#include "terminal/trading.h"
#include "terminal/web.h"

#endif
