// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace prefer::test {

/// What a communicator archetype leaves out.
enum class communicator_lacks {
  nothing,
  rank,
  size,
  sum_of_double,
  sum_of_float,
  broadcast,
  all_gather
};

/// Exactly what Communicator asks for, over one process: not copyable, and its numbers only convert to the types that
/// are asked for.
template <communicator_lacks L = communicator_lacks::nothing>
class communicator_archetype {
 public:
  class number {
   public:
    explicit number(std::size_t value) : value_(value) {}
    number(number const&) = delete;
    operator std::size_t() const { return value_; }  // NOLINT

   private:
    std::size_t value_;
  };
  class numbers {
   public:
    explicit numbers(std::span<double const> mine) : mine_(mine) {}
    numbers(numbers const&) = delete;
    operator std::vector<double>() const { return {mine_.begin(), mine_.end()}; }  // NOLINT

   private:
    std::span<double const> mine_;
  };

  communicator_archetype() = default;
  communicator_archetype(communicator_archetype const&) = delete;

  number rank() const
    requires(L != communicator_lacks::rank)
  {
    return number(0);
  }
  number size() const
    requires(L != communicator_lacks::size)
  {
    return number(1);
  }
  void all_sum(std::span<double>) const
    requires(L != communicator_lacks::sum_of_double)
  {}
  void all_sum(std::span<float>) const
    requires(L != communicator_lacks::sum_of_float)
  {}
  void broadcast(std::span<std::byte>, std::size_t) const
    requires(L != communicator_lacks::broadcast)
  {}
  numbers all_gather(std::span<double const> mine) const
    requires(L != communicator_lacks::all_gather)
  {
    return numbers(mine);
  }
};

/// What a share communicator archetype leaves out.
enum class share_communicator_lacks {
  nothing,
  sum_of_double,
  sum_of_float,
  gather_of_double,
  gather_of_float
};

/// Exactly what ShareCommunicator asks for beside it, over one process.
template <share_communicator_lacks L = share_communicator_lacks::nothing>
class share_communicator_archetype : public communicator_archetype<> {
  using counts = std::span<std::size_t const>;

 public:
  void sum_shares(std::span<double>, counts) const
    requires(L != share_communicator_lacks::sum_of_double)
  {}
  void sum_shares(std::span<float>, counts) const
    requires(L != share_communicator_lacks::sum_of_float)
  {}
  void gather_shares(std::span<double>, counts) const
    requires(L != share_communicator_lacks::gather_of_double)
  {}
  void gather_shares(std::span<float>, counts) const
    requires(L != share_communicator_lacks::gather_of_float)
  {}
};

}  // namespace prefer::test
