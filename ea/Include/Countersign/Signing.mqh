// Signed machine requests, scheme v1: what is signed, its signature, and whether an answer is the desk's.
//
// The same vectors, tests/vectors/signing.json, hold for this file and for the desk's own side.
#ifndef COUNTERSIGN_SIGNING_MQH
#define COUNTERSIGN_SIGNING_MQH

#include "Bytes.mqh"
#include "Hmac.mqh"

// A secret is 32 bytes.
#define CS_SECRET_SIZE 32

// Read a device's secret as the desk showed it: base64url without padding. False for what is none.
bool CsReadSecret(const string text, uchar &secret[])
  {
   if(CsFromBase64Url(text, secret) && ArraySize(secret) == CS_SECRET_SIZE)
      return(true);
   ArrayResize(secret, 0);
   return(false);
  }

// The digest of a body in hex; of nothing for an empty one.
string CsBodyDigest(const uchar &body[])
  {
   uchar digest[];
   CsSha256(body, digest);
   return(CsToHex(digest));
  }

// The text that is signed in a request: path and query exactly as sent, seconds as in X-Timestamp, the bytes of the
// body as handed to WebRequest. Line feeds stand between the lines, none at the end.
string CsCanonicalRequest(const string method, const string path_query, const long seconds, const string nonce,
                          const uchar &body[])
  {
   return(method + "\n" + path_query + "\n" + IntegerToString(seconds) + "\n" + nonce + "\n" + CsBodyDigest(body));
  }

// The text that is signed in an answer; the nonce is that of its request, so an old answer fits no new question.
string CsCanonicalAnswer(const int status, const string nonce, const uchar &body[])
  {
   return("RESPONSE\n" + IntegerToString(status) + "\n" + nonce + "\n" + CsBodyDigest(body));
  }

// The value of X-Signature for a text.
string CsSignature(const uchar &secret[], const string text)
  {
   uchar bytes[], code[];
   CsUtf8(text, bytes);
   CsHmacSha256(secret, bytes, code);
   return("v1=" + CsToHex(code));
  }

// The value of X-Signature for a request.
string CsSignRequest(const uchar &secret[], const string method, const string path_query, const long seconds,
                     const string nonce, const uchar &body[])
  {
   return(CsSignature(secret, CsCanonicalRequest(method, path_query, seconds, nonce, body)));
  }

// Whether the signature is the text's. One spelling alone is right: lower case, with its version before it.
// Without a whole secret nothing is: an array that was never filled would otherwise be a key that everybody knows.
bool CsIsGenuine(const uchar &secret[], const string text, const string signature)
  {
   if(ArraySize(secret) != CS_SECRET_SIZE)
      return(false);
   uchar right[], given[];
   CsUtf8(CsSignature(secret, text), right);
   CsUtf8(signature, given);
   return(CsSameBytes(right, given));
  }

// Whether an answer is the desk's, to the request with that nonce. Nothing in it may be acted on before this is true.
bool CsIsGenuineAnswer(const uchar &secret[], const int status, const string nonce, const uchar &body[],
                       const string signature)
  {
   return(CsIsGenuine(secret, CsCanonicalAnswer(status, nonce, body), signature));
  }

#endif
