// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty.h>
#include <c10/core/Device.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/adapters/torch/device_call.hpp>
#include <prefer/batch/check_columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>

// Tensors on a device, as the kernels of adapters/cuda/for_torch.cuh take them: addresses and sizes, and LibTorch's current stream.

namespace prefer::inline v0_1::detail {

/// The device's own handle of a stream; a LibTorch that does not tell it has it for the default stream only.
template <class Stream>
[[nodiscard]] void* native_stream(Stream const& stream) {
  if constexpr (requires { stream.native_handle(); }) {
    return stream.native_handle();
  } else {
    expects(stream.id() == 0,
            "torch: this version of LibTorch does not tell a stream's handle: work on the device's "
            "default stream, or take a later LibTorch");
    return nullptr;
  }
}
/// The stream that LibTorch gives work on this device to now.
[[nodiscard]] inline void* current_stream(c10::Device device) {
  return native_stream(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

[[nodiscard]] inline device_numbers numbers_on_device(at::Tensor const& of, torch_place where) {
  device_numbers out{.address = of.data_ptr(),
                     .count = static_cast<std::size_t>(of.numel()),
                     .stored = storage::boolean,
                     .given = true};
  if (of.scalar_type() == at::kBool) return out;
  with_torch_element(of, where, [&]<class E>(E) { out.stored = element_of<E>; });
  return out;
}

/// A batch of tensors of a device as addresses, for as long as this and the tensors live.
template <template <class> class Kind>
class torch_device_batch {
 public:
  explicit torch_device_batch(Kind<torch::column> const& tensors)
      : device_(torch_device(tensors)),
        columns_(converted_columns<device_numbers>(
            tensors, [&](auto is, per, torch_place where, torch::column const& one) {
              return numbers_of(one, where, is.rule);
            })) {}
  torch_device_batch(torch_device_batch const&) = delete;
  torch_device_batch& operator=(torch_device_batch const&) = delete;

  [[nodiscard]] c10::Device device() const { return device_; }
  [[nodiscard]] Kind<device_numbers> const& columns() const { return columns_; }

 private:
  [[nodiscard]] device_numbers numbers_of(torch::column const& one, torch_place where,
                                          column_rule rule) {
    at::Tensor const& tensor = torch_checked(one, where, rule, device_, kept_);
    if (tensor.scalar_type() == at::kBool && rule != column_rule::truth) {
      torch_refused(where, "is of Bool; it must be Float, Double, Half or BFloat16");
    }
    if (tensor.numel() > 1 && tensor.stride(0) != 1) {
      torch_refused(where, "steps over " + std::to_string(tensor.stride(0)) +
                               " elements; on a device numbers lie one after another: use "
                               ".contiguous()");
    }
    return numbers_on_device(tensor, where);
  }

  std::vector<at::Tensor> kept_;
  c10::Device device_;
  Kind<device_numbers> columns_;
};

/// The loss pass in the order of `stream`, which is the device's. Returns the mean, which stays there: a double.
template <Loss L, class Columns, class Results>
[[nodiscard]] at::Tensor torch_pass_on_device(L const& loss, Columns const& batch,
                                              Results const& results, c10::Device device,
                                              void* stream, loss_memory<L>& memory,
                                              any_processes const& processes) {
  if (loss_on_device<L> == nullptr) {
    std::string const name = [] {
      if constexpr (requires { L::name; }) return std::string(L::name);
      return std::string("this loss");
    }();
    broken("torch: this program has no kernel of " + name + " for tensors on " + device.str() +
           ": instantiate prefer::cuda::for_torch of its type in a .cu file "
           "(adapters/cuda/for_torch.cuh)");
  }
  at::Tensor mean = at::empty({}, at::TensorOptions(device).dtype(at::kDouble));
  loss_on_device<L>(loss, batch, results, numbers_on_device(mean, {"the mean"}), stream, memory,
                    processes);
  return mean;
}

}  // namespace prefer::inline v0_1::detail
