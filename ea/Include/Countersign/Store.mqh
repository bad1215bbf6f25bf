// Files that survive whatever moment the computer goes down at, and that say so when they have not.
//
// A file is written anew beside the old one and flushed before it takes its place; the one before stays as the last
// resort. Each has its generation and a digest, so the newest whole one is found, whichever names they bear by then.
// What is confirmed as written is never lost by a later crash. Only a disk that loses what it has confirmed can cost a
// generation, and then reading says CS_STORE_OLDER; with none whole left it says CS_STORE_BROKEN, and never "empty".
#ifndef COUNTERSIGN_STORE_MQH
#define COUNTERSIGN_STORE_MQH

#include "Pack.mqh"
#include "Sha256.mqh"

#define CS_STORE_MARK 0x43534631
#define CS_STORE_MOST_BYTES 1048576
#define CS_DIGEST_SIZE 32

#define CS_STORE_EMPTY 0
#define CS_STORE_GOOD 1
#define CS_STORE_OLDER 2
#define CS_STORE_BROKEN 3

// A file by its name within the terminal's MQL5\Files, and which generation of it was read or written last.
struct CsStored
  {
   string name;
   long   generation;
  };

// A whole file in bytes: mark, generation, length, content, digest of all that.
void CsStoreFrame(const long generation, const uchar &content[], uchar &bytes[])
  {
   uchar digest[];
   ArrayResize(bytes, 0);
   CsPutLong(bytes, CS_STORE_MARK);
   CsPutLong(bytes, generation);
   CsPutLong(bytes, ArraySize(content));
   CsAppend(bytes, content);
   CsSha256(bytes, digest);
   CsAppend(bytes, digest);
  }

// Take a file apart. False for one that is not whole.
bool CsStoreUnframe(const uchar &bytes[], long &generation, uchar &content[])
  {
   CsPacked packed;
   uchar again[];
   CsUnpack(packed, bytes);
   long mark = CsTakeLong(packed);
   long told = CsTakeLong(packed);
   long size = CsTakeLong(packed);
   ArrayResize(content, 0);
   if(!packed.is_good || mark != CS_STORE_MARK || told < 1 || size < 0
      || size != ArraySize(bytes) - packed.place - CS_DIGEST_SIZE)
      return(false);
   ArrayCopy(content, bytes, 0, packed.place, (int)size);
   CsStoreFrame(told, content, again);
   if(!CsSameBytes(bytes, again))
     {
      ArrayResize(content, 0);
      return(false);
     }
   generation = told;
   return(true);
  }

// All bytes of a file. False when it is not there or cannot be read.
bool CsReadFile(const string name, uchar &bytes[])
  {
   ArrayResize(bytes, 0);
   if(!FileIsExist(name))
      return(false);
   int handle = FileOpen(name, FILE_READ | FILE_BIN);
   if(handle == INVALID_HANDLE)
      return(false);
   int size = FileSize(handle) > CS_STORE_MOST_BYTES ? 0 : (int)FileSize(handle);
   bool read = size > 0 && (int)FileReadArray(handle, bytes, 0, size) == size;
   FileClose(handle);
   return(read);
  }

// Write all bytes of a file and see them on their way to the disk.
bool CsWriteFile(const string name, const uchar &bytes[])
  {
   int size = ArraySize(bytes);
   int handle = FileOpen(name, FILE_WRITE | FILE_BIN);
   if(handle == INVALID_HANDLE)
      return(false);
   bool written = (int)FileWriteArray(handle, bytes, 0, size) == size;
   FileFlush(handle);
   FileClose(handle);
   return(written);
  }

// Let the file that was written anew take its place; the one that stood there stays beside it.
bool CsStorePutInPlace(const string name)
  {
   if(FileIsExist(name) && !FileMove(name, 0, name + ".old", FILE_REWRITE))
      return(false);
   return(FileMove(name + ".new", 0, name, FILE_REWRITE));
  }

// Write a file. False when that failed: then nothing may be done that rests on it.
bool CsStoreWrite(CsStored &stored, const uchar &content[])
  {
   uchar bytes[], again[];
   CsStoreFrame(stored.generation + 1, content, bytes);
   // Read again, for a full disk does not say so in every function.
   if(!CsWriteFile(stored.name + ".new", bytes) || !CsReadFile(stored.name + ".new", again)
      || !CsSameBytes(bytes, again) || !CsStorePutInPlace(stored.name))
      return(false);
   stored.generation++;
   return(true);
  }

// Whether one of the three is whole and newer than what was found so far; then it is what was found.
bool CsStoreTakeNewer(const string name, long &generation, uchar &content[])
  {
   uchar bytes[], inside[];
   long told = 0;
   if(!CsReadFile(name, bytes) || !CsStoreUnframe(bytes, told, inside) || told <= generation)
      return(false);
   generation = told;
   ArrayResize(content, 0);
   ArrayCopy(content, inside);
   return(true);
  }

// Whether there is anything of a file, whole or not.
bool CsIsStored(const string name)
  {
   return(FileIsExist(name) || FileIsExist(name + ".new") || FileIsExist(name + ".old"));
  }

// Read a file; CS_STORE_... says what came of it. Begin with this, once a start: it also ends a write that a crash cut.
int CsStoreRead(CsStored &stored, const string name, uchar &content[])
  {
   stored.name = name;
   stored.generation = 0;
   ArrayResize(content, 0);
   bool is_there = FileIsExist(name) || FileIsExist(name + ".old");
   bool in_place = CsStoreTakeNewer(name, stored.generation, content);
   if(CsStoreTakeNewer(name + ".new", stored.generation, content))
      return(CsStorePutInPlace(name) ? CS_STORE_GOOD : CS_STORE_BROKEN);
   if(in_place)
      return(CS_STORE_GOOD);
   if(CsStoreTakeNewer(name + ".old", stored.generation, content))
      return(CS_STORE_OLDER);
   return(is_there ? CS_STORE_BROKEN : CS_STORE_EMPTY);
  }

#endif
