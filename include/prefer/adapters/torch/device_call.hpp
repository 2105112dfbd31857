// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/batch/column.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/kernel.hpp>
#include <prefer/parallel/communicator.hpp>

// What stands between a program's tensors and its kernels: addresses, types and sizes. Whoever has tensors
// (adapters/torch.hpp) and what a CUDA compiler compiles (adapters/cuda/for_torch.cuh) both know this header, and neither knows
// the other's libraries.

namespace prefer::inline v0_1::detail {

/// Numbers on a device, one after another; or none.
struct device_numbers {
  using offsets = std::span<std::size_t const>;  ///< of lists, on the host

  void* address = nullptr;
  std::size_t count = 0;
  storage stored = storage::float32;
  bool given = false;

  [[nodiscard]] constexpr bool present() const { return given; }
  [[nodiscard]] constexpr std::size_t size() const { return count; }
};

/// Processes of whatever kind, as kernels' host code calls them.
class any_processes {
 public:
  /// `of` is borrowed.
  template <Communicator C>
  explicit any_processes(C const& of)
      : of_(&of),
        rank_(of.rank()),
        size_(of.size()),
        sum_doubles_([](void const* c, std::span<double> v) { as<C>(c).all_sum(v); }),
        sum_floats_([](void const* c, std::span<float> v) { as<C>(c).all_sum(v); }),
        broadcast_([](void const* c, std::span<std::byte> bytes, std::size_t from) {
          as<C>(c).broadcast(bytes, from);
        }),
        gather_([](void const* c, std::span<double const> mine) -> std::vector<double> {
          return as<C>(c).all_gather(mine);
        }) {}

  [[nodiscard]] std::size_t rank() const { return rank_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void all_sum(std::span<double> values) const { sum_doubles_(of_, values); }
  void all_sum(std::span<float> values) const { sum_floats_(of_, values); }
  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    broadcast_(of_, bytes, from);
  }
  [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
    return gather_(of_, mine);
  }

 private:
  template <class C>
  static C const& as(void const* of) {
    return *static_cast<C const*>(of);
  }

  void const* of_;
  std::size_t rank_, size_;
  void (*sum_doubles_)(void const*, std::span<double>);
  void (*sum_floats_)(void const*, std::span<float>);
  void (*broadcast_)(void const*, std::span<std::byte>, std::size_t);
  std::vector<double> (*gather_)(void const*, std::span<double const>);
};

/// What batches, results and metrics of losses of an arity are.
template <std::size_t Arity>
struct device_kind {
  using columns = basic_list_columns<device_numbers>;
  using results = basic_list_results<device_numbers>;
  using metrics = pair_metrics;
};
template <>
struct device_kind<1> {
  using columns = basic_unpaired_columns<device_numbers>;
  using results = basic_unpaired_results<device_numbers>;
  using metrics = unpaired_metrics;
};
template <>
struct device_kind<2> {
  using columns = basic_pair_columns<device_numbers>;
  using results = basic_pair_results<device_numbers>;
  using metrics = pair_metrics;
};

/// The loss pass in the order of a stream, a cudaStream_t. Writes results, and the mean, which is one number there.
template <Loss L>
using device_loss_call = void (*)(L const& loss, typename device_kind<L::arity>::columns const&,
                                  typename device_kind<L::arity>::results const&,
                                  device_numbers const& mean, void* stream, loss_memory<L>&,
                                  any_processes const&);
/// Where an explicit instantiation of cuda::for_torch enters it; null in a program without.
template <Loss L>
inline device_loss_call<L> loss_on_device = nullptr;

/// The metrics of a batch; waits for the stream.
template <std::size_t Arity>
using device_metrics_call = typename device_kind<Arity>::metrics (*)(
    typename device_kind<Arity>::columns const&, reward_rule, void* stream);
template <std::size_t Arity>
inline device_metrics_call<Arity> metrics_on_device = nullptr;

}  // namespace prefer::inline v0_1::detail
