// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

// What the NCCL adapter calls of NCCL, between threads of one process. A call is done when every process has made it; who
// asks too early, or makes a call before the one before has been taken in, is told so. Faults are asked for by thread.

enum ncclResult_t : int {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};
enum ncclDataType_t { ncclUint8 = 1, ncclFloat32 = 7, ncclFloat64 = 8 };
enum ncclRedOp_t { ncclSum = 0 };
struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { -1 }

namespace nccl_twin {

enum class kind { all_gather, all_reduce, broadcast, reduce, send, receive };

/// A call of one process. `peer` is a root or the other side.
struct call {
  kind what;
  void const* in;
  void* out;
  std::size_t count;
  ncclDataType_t type;
  int peer;

  [[nodiscard]] std::size_t bytes() const {
    return count * (type == ncclUint8 ? 1 : type == ncclFloat32 ? 4 : 8);
  }
  [[nodiscard]] bool agrees_with(call const& other) const {
    return what == other.what && count == other.count && type == other.type && peer == other.peer;
  }
};
using group = std::vector<call>;

/// Sums in descending order of rank: an engine need not add in the order of ours.
template <class T>
void sum(std::vector<call> const& all, void* out) {
  auto* const to = static_cast<T*>(out);
  for (std::size_t i = 0; i != all[0].count; ++i) {
    T total = 0;
    for (std::size_t rank = all.size(); rank-- != 0;)
      total += static_cast<T const*>(all[rank].in)[i];
    to[i] = total;
  }
}
inline void sum_into(std::vector<call> const& all, void* out) {
  all[0].type == ncclFloat32 ? sum<float>(all, out) : sum<double>(all, out);
}

/// One call of every process, in order of rank.
inline bool perform(std::vector<call> const& all) {
  for (auto const& each : all) {
    if (!each.agrees_with(all[0])) return false;
  }
  for (std::size_t rank = 0; rank != all.size(); ++rank) {
    auto* const out = static_cast<std::byte*>(all[rank].out);
    switch (all[0].what) {
      case kind::all_gather:
        for (std::size_t from = 0; from != all.size(); ++from) {
          std::memcpy(out + from * all[0].bytes(), all[from].in, all[0].bytes());
        }
        break;
      case kind::broadcast:
        std::memcpy(out, all[static_cast<std::size_t>(all[0].peer)].in, all[0].bytes());
        break;
      case kind::all_reduce:
        sum_into(all, out);
        break;
      case kind::reduce:
        if (static_cast<int>(rank) == all[0].peer) sum_into(all, out);
        break;
      default:
        return false;
    }
  }
  return true;
}

inline bool exchange(std::vector<group> const& groups) {
  // The n-th that a sends to b is the n-th that b receives from a.
  std::map<std::pair<int, int>, std::vector<call const*>> sent;
  for (std::size_t rank = 0; rank != groups.size(); ++rank) {
    for (auto const& each : groups[rank]) {
      if (each.what == kind::send) sent[{static_cast<int>(rank), each.peer}].push_back(&each);
    }
  }
  std::map<std::pair<int, int>, std::size_t> received;
  for (std::size_t rank = 0; rank != groups.size(); ++rank) {
    for (auto const& each : groups[rank]) {
      if (each.what != kind::receive) continue;
      std::pair const between{each.peer, static_cast<int>(rank)};
      std::size_t const next = received[between]++;
      if (next >= sent[between].size() || sent[between][next]->bytes() != each.bytes())
        return false;
      std::memcpy(each.out, sent[between][next]->in, each.bytes());
    }
  }
  for (auto const& [between, calls] : sent) {
    if (calls.size() != received[between]) return false;
  }
  return true;
}

/// The processes that have one id.
struct world {
  struct step {
    std::vector<group> groups;
    std::size_t given = 0;
    std::shared_ptr<std::atomic<bool>> done = std::make_shared<std::atomic<bool>>(false);
  };
  std::mutex mutex;
  std::size_t size = 0;
  std::size_t joined = 0;
  std::map<std::size_t, step> steps;
  std::atomic<int> error = 0;  // of all

  std::shared_ptr<std::atomic<bool>> give(std::size_t rank, std::size_t number, group mine) {
    std::lock_guard const lock(mutex);
    step& now = steps[number];
    now.groups.resize(size);
    now.groups[rank] = std::move(mine);
    auto const done = now.done;
    // Memory of who has aborted is gone.
    if (++now.given == size && error == 0) {
      bool const pairs = !now.groups[0].empty() && (now.groups[0][0].what == kind::send ||
                                                    now.groups[0][0].what == kind::receive);
      if (pairs ? exchange(now.groups) : perform_all(now.groups)) {
        *done = true;
      } else {
        error = ncclInvalidUsage;
      }
      steps.erase(number);
    }
    return done;
  }
  static bool perform_all(std::vector<group> const& groups) {
    for (auto const& each : groups) {
      if (each.size() != groups[0].size()) return false;
    }
    for (std::size_t i = 0; i != groups[0].size(); ++i) {
      std::vector<call> all;
      for (auto const& each : groups) all.push_back(each[i]);
      if (!perform(all)) return false;
    }
    return true;
  }
};
inline std::mutex worlds_mutex;
inline std::map<int, std::shared_ptr<world>> worlds;

inline thread_local bool in_group = false;
inline thread_local group open_group;

inline void hang() { std::this_thread::sleep_for(std::chrono::hours(1)); }

}  // namespace nccl_twin

struct nccl_twin_communicator {
  std::shared_ptr<nccl_twin::world> world;
  std::size_t rank = 0;
  std::size_t calls = 0;
  int asks = 0;  // how often it is asked before it has taken in what it was told
  bool under_way = false;
};
using ncclComm_t = nccl_twin_communicator*;

namespace nccl_twin {

inline thread_local ncclComm_t of_group = nullptr;
inline thread_local cudaStream_t stream_of_group = nullptr;

inline ncclResult_t post(ncclComm_t comm, cudaStream_t stream, group calls) {
  if (fault.hangs_in_call) hang();
  if (fault.error_of_call != 0) return static_cast<ncclResult_t>(fault.error_of_call);
  if (comm->asks != 0) return ncclInvalidUsage;
  comm->asks = 3;
  comm->under_way = true;
  if (fault.async_error != 0) {  // it is taken in, and never done
    stream->pending.push_back(std::make_shared<std::atomic<bool>>(false));
    return ncclInProgress;
  }
  stream->pending.push_back(comm->world->give(comm->rank, comm->calls++, std::move(calls)));
  return ncclInProgress;
}
inline ncclResult_t add(ncclComm_t comm, cudaStream_t stream, call const& mine) {
  if (!in_group) return post(comm, stream, {mine});
  of_group = comm;
  stream_of_group = stream;
  open_group.push_back(mine);
  return ncclSuccess;
}

}  // namespace nccl_twin

inline char const* ncclGetErrorString(ncclResult_t state) {
  return state == ncclRemoteError   ? "remote process exited or there was a network error"
         : state == ncclSystemError ? "unhandled system error"
                                    : "invalid usage";
}
inline ncclResult_t ncclGetUniqueId(ncclUniqueId* out) {
  if (nccl_twin::fault.error_of_call != 0) {
    return static_cast<ncclResult_t>(nccl_twin::fault.error_of_call);
  }
  static std::atomic<int> last = 0;
  int const number = ++last;
  std::memcpy(out->internal, &number, sizeof number);
  return ncclSuccess;
}
inline ncclResult_t ncclCommInitRankConfig(ncclComm_t* out, int size, ncclUniqueId id, int rank,
                                           ncclConfig_t* how) {
  if (how->blocking != 0) return ncclInvalidUsage;
  int number = 0;
  std::memcpy(&number, id.internal, sizeof number);
  std::lock_guard const lock(nccl_twin::worlds_mutex);
  auto& world = nccl_twin::worlds[number];
  if (!world) world = std::make_shared<nccl_twin::world>();
  world->size = static_cast<std::size_t>(size);
  std::lock_guard const inside(world->mutex);
  ++world->joined;
  ++nccl_twin::allocations;
  *out = new nccl_twin_communicator{.world = world, .rank = static_cast<std::size_t>(rank)};
  return ncclInProgress;
}
inline ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* out) {
  std::lock_guard const lock(comm->world->mutex);
  if (comm->under_way && nccl_twin::fault.async_error != 0) {
    comm->world->error = ncclRemoteError;
    *out = static_cast<ncclResult_t>(nccl_twin::fault.async_error);
  } else if (comm->world->error != 0) {
    *out = static_cast<ncclResult_t>(comm->world->error.load());
  } else if (comm->world->joined < comm->world->size || (comm->asks != 0 && --comm->asks != 0)) {
    *out = ncclInProgress;
  } else {
    *out = ncclSuccess;
  }
  return ncclSuccess;
}
inline ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  comm->asks = 3;
  return ncclInProgress;
}
inline ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  --nccl_twin::allocations;
  delete comm;
  return ncclSuccess;
}
inline ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (nccl_twin::fault.hangs_in_abort) nccl_twin::hang();
  {
    std::lock_guard const lock(comm->world->mutex);
    if (comm->world->error == 0) comm->world->error = ncclRemoteError;
  }
  return ncclCommDestroy(comm);
}

inline ncclResult_t ncclGroupStart() {
  nccl_twin::in_group = true;
  nccl_twin::of_group = nullptr;
  nccl_twin::open_group.clear();
  return ncclSuccess;
}
inline ncclResult_t ncclGroupEnd() {
  nccl_twin::in_group = false;
  if (nccl_twin::of_group == nullptr) return ncclSuccess;
  return nccl_twin::post(nccl_twin::of_group, nccl_twin::stream_of_group,
                         std::exchange(nccl_twin::open_group, {}));
}
inline ncclResult_t ncclAllGather(void const* in, void* out, std::size_t count, ncclDataType_t type,
                                  ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::all_gather, in, out, count, type, 0});
}
inline ncclResult_t ncclAllReduce(void const* in, void* out, std::size_t count, ncclDataType_t type,
                                  ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::all_reduce, in, out, count, type, 0});
}
inline ncclResult_t ncclReduce(void const* in, void* out, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t, int root, ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::reduce, in, out, count, type, root});
}
inline ncclResult_t ncclBroadcast(void const* in, void* out, std::size_t count, ncclDataType_t type,
                                  int root, ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::broadcast, in, out, count, type, root});
}
inline ncclResult_t ncclSend(void const* in, std::size_t count, ncclDataType_t type, int to,
                             ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::send, in, nullptr, count, type, to});
}
inline ncclResult_t ncclRecv(void* out, std::size_t count, ncclDataType_t type, int from,
                             ncclComm_t comm, cudaStream_t stream) {
  return nccl_twin::add(comm, stream, {nccl_twin::kind::receive, nullptr, out, count, type, from});
}
