// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/loss/catalogue.hpp>

// The kernel of every loss of the catalogue, in the precision that training uses, to be compiled: tests/device/check.cmake.

namespace {

namespace cuda = prefer::cuda;

template <class Columns, std::size_t N, class Pass>
void const* records() {
  constexpr std::uint32_t loaded = cuda::loaded_by<Columns, Pass>.bits;
  return reinterpret_cast<void const*>(&cuda::map_records<float, Columns, loaded, N, Pass>);
}

// Functors with names: nvcc's front end takes no generic lambda here.
struct take_kernel {
  void const** to;

  template <prefer::Loss L>
  void operator()(L const&, prefer::loss_info const&) const {
    namespace detail = prefer::detail;
    if constexpr (L::arity == 1) {
      *to =
          records<cuda::unpaired_columns, detail::unpaired_outputs<L>, detail::unpaired_pass<L>>();
    } else if constexpr (L::arity == 2) {
      *to = records<cuda::pair_columns, detail::pair_outputs, detail::pair_pass<L>>();
    } else {
      using pass = detail::list_pass<L>;
      *to = reinterpret_cast<void const*>(&cuda::map_lists<cuda::list_columns, pass>);
    }
  }
};

}  // namespace

void const* last_kernel() {
  void const* kernel = nullptr;
  prefer::for_each_loss(take_kernel{&kernel});
  return kernel;
}
