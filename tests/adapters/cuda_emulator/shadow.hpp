// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

// Who has written and read each number since when, and what that means for whoever comes next.

namespace cuda_emulator {

/// A thread at a time: barriers order what lies before them and after them.
struct moment {
  std::uint32_t launch = 0;
  std::uint32_t block = 0;
  std::uint32_t thread = 0;      // of the block
  std::uint32_t barriers = 0;    // that its block has passed
  std::uint32_t warp_syncs = 0;  // that its warp has passed
};

inline constexpr std::uint32_t several = ~std::uint32_t{0};

/// The last write of two bytes, and the reads since the last barrier that ordered them.
struct traces {
  moment write;
  moment read;  // block, warp or thread may be `several`
  std::uint32_t read_warp = 0;
  bool atomic = false;   // the last write
  bool written = false;  // ever; of shared memory: by this block
};

[[nodiscard]] inline std::uint32_t warp_of(std::uint32_t thread) { return thread / 32; }

/// Whether `now` cannot know that what happened at `before`, by thread or warp or block, is over.
[[nodiscard]] inline bool unordered(moment const& before, std::uint32_t warp, moment const& now) {
  if (before.launch != now.launch) return false;
  if (before.block != now.block) return true;
  if (before.barriers != now.barriers) return false;
  if (warp != warp_of(now.thread)) return true;
  return before.warp_syncs == now.warp_syncs && before.thread != now.thread;
}

/// What is wrong with an access, if it is, and its trace in what comes later.
[[nodiscard]] inline char const* leave_trace(traces& of, moment const& now, bool writes,
                                             bool atomic) {
  if (!writes && !of.written) return "reads what nobody has written";
  bool const after_write =
      of.written && unordered(of.write, warp_of(of.write.thread), now) && !(of.atomic && atomic);
  if (after_write) {
    return writes ? "writes what another thread has written, without a barrier between them"
                  : "reads what another thread has written, without a barrier between them";
  }
  if (writes) {
    if (!atomic && unordered(of.read, of.read_warp, now)) {
      return "writes what another thread has read, without a barrier between them";
    }
    of.write = now;
    of.atomic = atomic;
    of.written = true;
    return nullptr;
  }
  bool const apart = of.read.launch != now.launch ||
                     (of.read.block == now.block && of.read.barriers != now.barriers);
  if (apart) {
    of.read = now;
    of.read_warp = warp_of(now.thread);
  } else if (of.read.block != now.block) {
    of.read.block = several;
  } else if (of.read_warp != warp_of(now.thread)) {
    of.read_warp = several;
  } else if (of.read.warp_syncs != now.warp_syncs) {
    of.read = now;
  } else if (of.read.thread != now.thread) {
    of.read.thread = several;
  }
  return nullptr;
}

/// The memory of the device, and what is known of it: a piece of the address space that nothing else is in, of which no
/// part is given out twice.
class device_memory {
 public:
  struct allocation {
    std::size_t size = 0;
    std::vector<traces> of = {};  // one for two bytes
  };
  static constexpr std::size_t margin = 256;  // between two of them, and before the first

  /// An address that nothing else has. Null where there is none left.
  [[nodiscard]] void* reserve(std::size_t bytes) {
    if (begin_ == 0) {
      void* const room = mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (room == MAP_FAILED) return nullptr;
      begin_ = reinterpret_cast<std::uintptr_t>(room);
      next_ = begin_ + margin;
    }
    std::size_t const taken = (bytes + margin - 1) / margin * margin + margin;
    if (next_ + taken > begin_ + capacity) return nullptr;
    std::uintptr_t const at = next_;
    next_ += taken;
    return reinterpret_cast<void*>(at);
  }
  /// Memory where it was reserved, in which nobody has written anything.
  void allocate_at(void* address, std::size_t bytes) {
    all_.emplace(reinterpret_cast<std::uintptr_t>(address),
                 allocation{bytes, std::vector<traces>((bytes + 1) / 2)});
  }
  /// Null where there is none left.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    void* const at = reserve(bytes);
    if (at != nullptr) allocate_at(at, bytes);
    return at;
  }
  [[nodiscard]] bool is_allocated(void const* address) const {
    return all_.contains(reinterpret_cast<std::uintptr_t>(address));
  }
  [[nodiscard]] static bool contains(void const* address) {
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    return at - begin_ < capacity && begin_ != 0;
  }
  /// The bytes given back, nothing for what is no allocation.
  [[nodiscard]] std::optional<std::size_t> release(void* address) {
    auto const found = all_.find(reinterpret_cast<std::uintptr_t>(address));
    if (found == all_.end()) return std::nullopt;
    std::size_t const size = found->second.size;
    last_.in = nullptr;
    all_.erase(found);
    // Its pages go back; numbers that somebody still reads there would be found by the margin's rule.
    std::uintptr_t const page = 4096;
    std::uintptr_t const first =
        (reinterpret_cast<std::uintptr_t>(address) + page - 1) / page * page;
    std::uintptr_t const end = (reinterpret_cast<std::uintptr_t>(address) + size) / page * page;
    if (first < end) (void)madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
    return size;
  }

  struct place {
    std::uintptr_t begin;
    allocation* in;  // null: not of the device
    bool beside;     // in the margin, or partly
  };
  [[nodiscard]] place find(void const* address, std::size_t size) {
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    if (last_.in != nullptr && at >= last_.begin && at + size <= last_.begin + last_size_) {
      return last_;  // most accesses are to where the one before was
    }
    if (!contains(address)) return {0, nullptr, false};
    auto next = all_.upper_bound(at);
    if (next != all_.begin()) {
      auto& [begin, one] = *std::prev(next);
      if (at + size <= begin + one.size) {
        last_ = {begin, &one, false};
        last_size_ = one.size;
        return last_;
      }
      if (at < begin + one.size + margin) return {begin, &one, true};
    }
    if (next != all_.end() && at + margin >= next->first) return {next->first, &next->second, true};
    return {0, nullptr, false};
  }

 private:
  static constexpr std::size_t capacity = std::size_t{1}
                                          << 36;  // of addresses; pages come as they are used

  static inline constinit std::uintptr_t begin_ = 0;  // of the one device
  std::uintptr_t next_ = 0;
  std::map<std::uintptr_t, allocation> all_;
  place last_{0, nullptr, false};
  std::size_t last_size_ = 0;
};

}  // namespace cuda_emulator
