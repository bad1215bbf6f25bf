// Properties by MQL5's names and the names they have on the line to the broker.
#ifndef COUNTERSIGN_PROOF_PROPERTIES_H
#define COUNTERSIGN_PROOF_PROPERTIES_H

#define PROOF_NAME(name, field) name,
#define PROOF_FIELD(name, field) field,
// An enumeration and, for each of its values, the field that has it.
#define PROOF_PROPERTIES(NAME, LIST)                                  \
    enum NAME { LIST(PROOF_NAME) };                                   \
    namespace proof {                                                 \
    inline const char *field_of(NAME property) {                      \
        static const char *const fields[] = {LIST(PROOF_FIELD)};      \
        return fields[property];                                      \
    }                                                                 \
    }

#define PROOF_POSITION_INTEGERS(X)                                                                      \
    X(POSITION_TICKET, "ticket") X(POSITION_TIME, "time") X(POSITION_TIME_MSC, "time_msc")              \
    X(POSITION_TIME_UPDATE, "time_update") X(POSITION_TIME_UPDATE_MSC, "time_update_msc")               \
    X(POSITION_TYPE, "type") X(POSITION_MAGIC, "magic") X(POSITION_IDENTIFIER, "identifier")            \
    X(POSITION_REASON, "reason")
#define PROOF_POSITION_DOUBLES(X)                                                                       \
    X(POSITION_VOLUME, "volume") X(POSITION_PRICE_OPEN, "price_open") X(POSITION_SL, "sl")              \
    X(POSITION_TP, "tp") X(POSITION_PRICE_CURRENT, "price_current") X(POSITION_SWAP, "swap")            \
    X(POSITION_PROFIT, "profit")
#define PROOF_POSITION_STRINGS(X)                                                                       \
    X(POSITION_SYMBOL, "symbol") X(POSITION_COMMENT, "comment") X(POSITION_EXTERNAL_ID, "external_id")
PROOF_PROPERTIES(ENUM_POSITION_PROPERTY_INTEGER, PROOF_POSITION_INTEGERS)
PROOF_PROPERTIES(ENUM_POSITION_PROPERTY_DOUBLE, PROOF_POSITION_DOUBLES)
PROOF_PROPERTIES(ENUM_POSITION_PROPERTY_STRING, PROOF_POSITION_STRINGS)

#define PROOF_ORDER_INTEGERS(X)                                                                         \
    X(ORDER_TICKET, "ticket") X(ORDER_TIME_SETUP, "time_setup") X(ORDER_TIME_SETUP_MSC, "time_setup_msc") \
    X(ORDER_TIME_DONE, "time_done") X(ORDER_TIME_DONE_MSC, "time_done_msc")                             \
    X(ORDER_TIME_EXPIRATION, "time_expiration") X(ORDER_TYPE, "type") X(ORDER_STATE, "state")           \
    X(ORDER_TYPE_FILLING, "type_filling") X(ORDER_TYPE_TIME, "type_time") X(ORDER_MAGIC, "magic")       \
    X(ORDER_REASON, "reason") X(ORDER_POSITION_ID, "position_id") X(ORDER_POSITION_BY_ID, "position_by_id")
#define PROOF_ORDER_DOUBLES(X)                                                                          \
    X(ORDER_VOLUME_INITIAL, "volume_initial") X(ORDER_VOLUME_CURRENT, "volume_current")                 \
    X(ORDER_PRICE_OPEN, "price_open") X(ORDER_SL, "sl") X(ORDER_TP, "tp")                               \
    X(ORDER_PRICE_CURRENT, "price_current") X(ORDER_PRICE_STOPLIMIT, "price_stoplimit")
#define PROOF_ORDER_STRINGS(X)                                                                          \
    X(ORDER_SYMBOL, "symbol") X(ORDER_COMMENT, "comment") X(ORDER_EXTERNAL_ID, "external_id")
PROOF_PROPERTIES(ENUM_ORDER_PROPERTY_INTEGER, PROOF_ORDER_INTEGERS)
PROOF_PROPERTIES(ENUM_ORDER_PROPERTY_DOUBLE, PROOF_ORDER_DOUBLES)
PROOF_PROPERTIES(ENUM_ORDER_PROPERTY_STRING, PROOF_ORDER_STRINGS)

#define PROOF_DEAL_INTEGERS(X)                                                                          \
    X(DEAL_TICKET, "ticket") X(DEAL_ORDER, "order") X(DEAL_TIME, "time") X(DEAL_TIME_MSC, "time_msc")   \
    X(DEAL_TYPE, "type") X(DEAL_ENTRY, "entry") X(DEAL_MAGIC, "magic") X(DEAL_REASON, "reason")         \
    X(DEAL_POSITION_ID, "position_id")
#define PROOF_DEAL_DOUBLES(X)                                                                           \
    X(DEAL_VOLUME, "volume") X(DEAL_PRICE, "price") X(DEAL_COMMISSION, "commission")                    \
    X(DEAL_SWAP, "swap") X(DEAL_PROFIT, "profit") X(DEAL_FEE, "fee")
#define PROOF_DEAL_STRINGS(X)                                                                           \
    X(DEAL_SYMBOL, "symbol") X(DEAL_COMMENT, "comment") X(DEAL_EXTERNAL_ID, "external_id")
PROOF_PROPERTIES(ENUM_DEAL_PROPERTY_INTEGER, PROOF_DEAL_INTEGERS)
PROOF_PROPERTIES(ENUM_DEAL_PROPERTY_DOUBLE, PROOF_DEAL_DOUBLES)
PROOF_PROPERTIES(ENUM_DEAL_PROPERTY_STRING, PROOF_DEAL_STRINGS)

#define PROOF_ACCOUNT_INTEGERS(X)                                                                       \
    X(ACCOUNT_LOGIN, "login") X(ACCOUNT_TRADE_MODE, "trade_mode") X(ACCOUNT_LEVERAGE, "leverage")       \
    X(ACCOUNT_LIMIT_ORDERS, "limit_orders") X(ACCOUNT_MARGIN_SO_MODE, "margin_so_mode")                 \
    X(ACCOUNT_TRADE_ALLOWED, "trade_allowed") X(ACCOUNT_TRADE_EXPERT, "trade_expert")                   \
    X(ACCOUNT_MARGIN_MODE, "margin_mode") X(ACCOUNT_CURRENCY_DIGITS, "currency_digits")                 \
    X(ACCOUNT_FIFO_CLOSE, "fifo_close")
#define PROOF_ACCOUNT_DOUBLES(X)                                                                        \
    X(ACCOUNT_BALANCE, "balance") X(ACCOUNT_CREDIT, "credit") X(ACCOUNT_PROFIT, "profit")               \
    X(ACCOUNT_EQUITY, "equity") X(ACCOUNT_MARGIN, "margin") X(ACCOUNT_MARGIN_FREE, "margin_free")       \
    X(ACCOUNT_MARGIN_LEVEL, "margin_level") X(ACCOUNT_MARGIN_SO_CALL, "margin_so_call")                 \
    X(ACCOUNT_MARGIN_SO_SO, "margin_so_so")
#define PROOF_ACCOUNT_STRINGS(X)                                                                        \
    X(ACCOUNT_NAME, "name") X(ACCOUNT_SERVER, "server") X(ACCOUNT_CURRENCY, "currency")                 \
    X(ACCOUNT_COMPANY, "company")
PROOF_PROPERTIES(ENUM_ACCOUNT_INFO_INTEGER, PROOF_ACCOUNT_INTEGERS)
PROOF_PROPERTIES(ENUM_ACCOUNT_INFO_DOUBLE, PROOF_ACCOUNT_DOUBLES)
PROOF_PROPERTIES(ENUM_ACCOUNT_INFO_STRING, PROOF_ACCOUNT_STRINGS)

#define PROOF_TERMINAL_INTEGERS(X)                                                                      \
    X(TERMINAL_BUILD, "build") X(TERMINAL_CONNECTED, "connected") X(TERMINAL_DLLS_ALLOWED, "dlls_allowed") \
    X(TERMINAL_TRADE_ALLOWED, "trade_allowed") X(TERMINAL_PING_LAST, "ping_last")                       \
    X(TERMINAL_CODEPAGE, "codepage") X(TERMINAL_MAXBARS, "maxbars")
PROOF_PROPERTIES(ENUM_TERMINAL_INFO_INTEGER, PROOF_TERMINAL_INTEGERS)
enum ENUM_TERMINAL_INFO_STRING {
    TERMINAL_LANGUAGE, TERMINAL_COMPANY, TERMINAL_NAME, TERMINAL_PATH, TERMINAL_DATA_PATH, TERMINAL_COMMONDATA_PATH
};
enum ENUM_MQL_INFO_INTEGER {
    MQL_TRADE_ALLOWED, MQL_SIGNALS_ALLOWED, MQL_DLLS_ALLOWED, MQL_DEBUG, MQL_PROFILER, MQL_TESTER, MQL_OPTIMIZATION,
    MQL_VISUAL_MODE, MQL_FRAME_MODE
};
enum ENUM_MQL_INFO_STRING { MQL_PROGRAM_NAME, MQL_PROGRAM_PATH };

#define PROOF_SYMBOL_INTEGERS(X)                                                                        \
    X(SYMBOL_SELECT, "select") X(SYMBOL_VISIBLE, "visible") X(SYMBOL_CUSTOM, "custom")                  \
    X(SYMBOL_TIME, "time") X(SYMBOL_TIME_MSC, "time_msc") X(SYMBOL_DIGITS, "digits") X(SYMBOL_SPREAD, "spread")                        \
    X(SYMBOL_SPREAD_FLOAT, "spread_float") X(SYMBOL_TRADE_CALC_MODE, "trade_calc_mode")                 \
    X(SYMBOL_TRADE_MODE, "trade_mode") X(SYMBOL_TRADE_STOPS_LEVEL, "trade_stops_level")                 \
    X(SYMBOL_TRADE_FREEZE_LEVEL, "trade_freeze_level") X(SYMBOL_TRADE_EXEMODE, "trade_exemode")         \
    X(SYMBOL_EXPIRATION_MODE, "expiration_mode") X(SYMBOL_FILLING_MODE, "filling_mode")                 \
    X(SYMBOL_ORDER_MODE, "order_mode")
#define PROOF_SYMBOL_DOUBLES(X)                                                                         \
    X(SYMBOL_BID, "bid") X(SYMBOL_ASK, "ask") X(SYMBOL_POINT, "point")                                  \
    X(SYMBOL_TRADE_TICK_VALUE, "trade_tick_value")                                                      \
    X(SYMBOL_TRADE_TICK_VALUE_PROFIT, "trade_tick_value_profit")                                        \
    X(SYMBOL_TRADE_TICK_VALUE_LOSS, "trade_tick_value_loss")                                            \
    X(SYMBOL_TRADE_TICK_SIZE, "trade_tick_size") X(SYMBOL_TRADE_CONTRACT_SIZE, "trade_contract_size")   \
    X(SYMBOL_VOLUME_MIN, "volume_min") X(SYMBOL_VOLUME_MAX, "volume_max")                               \
    X(SYMBOL_VOLUME_STEP, "volume_step") X(SYMBOL_VOLUME_LIMIT, "volume_limit")                         \
    X(SYMBOL_SWAP_LONG, "swap_long") X(SYMBOL_SWAP_SHORT, "swap_short")                                 \
    X(SYMBOL_MARGIN_INITIAL, "margin_initial")
#define PROOF_SYMBOL_STRINGS(X)                                                                         \
    X(SYMBOL_DESCRIPTION, "description") X(SYMBOL_CURRENCY_BASE, "currency_base")                       \
    X(SYMBOL_CURRENCY_PROFIT, "currency_profit") X(SYMBOL_CURRENCY_MARGIN, "currency_margin")           \
    X(SYMBOL_PATH, "path")
PROOF_PROPERTIES(ENUM_SYMBOL_INFO_INTEGER, PROOF_SYMBOL_INTEGERS)
PROOF_PROPERTIES(ENUM_SYMBOL_INFO_DOUBLE, PROOF_SYMBOL_DOUBLES)
PROOF_PROPERTIES(ENUM_SYMBOL_INFO_STRING, PROOF_SYMBOL_STRINGS)

#endif
