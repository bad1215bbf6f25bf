// Sealed bodies between a device and the desk, envelope v1: what only the two can read, and nobody can change or send
// again. Keys by HKDF (RFC 5869), the seal is ChaCha20-Poly1305 (RFC 8439).
//
// An envelope is  0x01 | length of the device's id | id | counter, 8 bytes, the greatest first | cipher text | tag.
// The nonce is the counter. A counter is used for one request, ever: what was counted is kept before the request goes
// out, and survives a restart. The same vectors, tests/vectors/envelope.json, hold for the desk's own side.
#ifndef COUNTERSIGN_ENVELOPE_MQH
#define COUNTERSIGN_ENVELOPE_MQH

#include "Bytes.mqh"
#include "ChaCha20Poly1305.mqh"
#include "Hkdf.mqh"
#include "Signing.mqh"

#define CS_ENVELOPE_VERSION 1
#define CS_ENVELOPE_UP 1
#define CS_ENVELOPE_DOWN 2
#define CS_LONGEST_ID 255
#define CS_COUNTER_SIZE 8
// 2^53 - 1: what is beyond, not every reader of JSON can hold.
#define CS_MOST_COUNTER 9007199254740991

const string CS_ENVELOPE_TYPE = "application/vnd.countersign.envelope";

// The query that asks for an envelope. It is signed with the path, and the path with it is sealed too.
string CsEnvelopeQuery(const long counter)
  {
   return("?envelope=v1&counter=" + IntegerToString(counter));
  }

// What stands before the counter: version and id. False for an id that has no place.
bool CsEnvelopeId(const string device_id, uchar &start[])
  {
   uchar id[];
   ArrayResize(start, 0);
   CsUtf8(device_id, id);
   int size = ArraySize(id);
   if(size < 1 || size > CS_LONGEST_ID)
      return(false);
   ArrayResize(start, 2);
   start[0] = CS_ENVELOPE_VERSION;
   start[1] = (uchar)size;
   CsAppend(start, id);
   return(true);
  }

// A counter as eight bytes, the greatest first. False for one that there is not.
bool CsCounterBytes(const long counter, uchar &bytes[])
  {
   ArrayResize(bytes, 0);
   if(counter < 1 || counter > CS_MOST_COUNTER)
      return(false);
   ArrayResize(bytes, CS_COUNTER_SIZE);
   for(int i = 0; i < CS_COUNTER_SIZE; i++)
      bytes[i] = (uchar)(((ulong)counter >> (8 * (CS_COUNTER_SIZE - 1 - i))) & 255);
   return(true);
  }

// All that is fixed for one envelope: what it begins with, its nonce, and what is sealed beside the text.
bool CsEnvelopeFrame(const string device_id, const uchar direction, const long counter, const string path_query,
                     uchar &head[], uchar &nonce[], uchar &aad[])
  {
   uchar bytes[], path[];
   ArrayResize(nonce, 0);
   ArrayResize(aad, 0);
   if(!CsEnvelopeId(device_id, head) || !CsCounterBytes(counter, bytes))
      return(false);
   CsAppend(aad, head);
   ArrayResize(aad, ArraySize(aad) + 1);
   aad[ArraySize(aad) - 1] = direction;
   CsAppend(aad, bytes);
   CsUtf8(path_query, path);
   CsAppend(aad, path);
   ArrayResize(nonce, CS_NONCE_SIZE - CS_COUNTER_SIZE);
   ArrayInitialize(nonce, 0);
   CsAppend(nonce, bytes);
   CsAppend(head, bytes);
   return(true);
  }

// The two keys that a secret gives, one a direction. False, and no keys, without a whole secret or an id.
bool CsEnvelopeKeys(const uchar &secret[], const string device_id, uchar &up_key[], uchar &down_key[])
  {
   uchar start[], salt[], info[];
   ArrayResize(up_key, 0);
   ArrayResize(down_key, 0);
   if(ArraySize(secret) != CS_SECRET_SIZE || !CsEnvelopeId(device_id, start))
      return(false);
   CsUtf8(device_id, salt);
   CsUtf8("ea/v1/c2s", info);
   if(!CsHkdfSha256(secret, salt, info, CS_KEY_SIZE, up_key))
      return(false);
   CsUtf8("ea/v1/s2c", info);
   return(CsHkdfSha256(secret, salt, info, CS_KEY_SIZE, down_key));
  }

// The envelope of a request's body. False, and nothing of it, for a counter, an id or a key that cannot be.
bool CsSealRequest(const uchar &up_key[], const string device_id, const long counter, const string path_query,
                   const uchar &plain[], uchar &sealed[])
  {
   uchar nonce[], aad[], box[];
   if(!CsEnvelopeFrame(device_id, CS_ENVELOPE_UP, counter, path_query, sealed, nonce, aad)
      || !CsSeal(up_key, nonce, aad, plain, box))
     {
      ArrayResize(sealed, 0);
      return(false);
     }
   CsAppend(sealed, box);
   return(true);
  }

// What the desk answers to the request with this counter and this path. False, and not one byte, for anything else.
bool CsOpenAnswer(const uchar &down_key[], const string device_id, const long counter, const string path_query,
                  const uchar &sealed[], uchar &plain[])
  {
   uchar head[], nonce[], aad[], given[], box[];
   ArrayResize(plain, 0);
   if(!CsEnvelopeFrame(device_id, CS_ENVELOPE_DOWN, counter, path_query, head, nonce, aad))
      return(false);
   int size = ArraySize(head);
   if(ArraySize(sealed) < size + CS_TAG_SIZE)
      return(false);
   ArrayCopy(given, sealed, 0, 0, size);
   if(!CsSameBytes(head, given))
      return(false);
   ArrayCopy(box, sealed, 0, size);
   return(CsOpen(down_key, nonce, aad, box, plain));
  }

#endif
