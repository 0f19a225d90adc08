// What the addon keeps for one environment (a thread of JavaScript). Nothing of it is shared but the inbox, with the threads of the pool.
#pragma once

#include <node_api.h>

#include <memory>

#include "inbox.h"

namespace pagewright {

// Doubles that an outcome takes in an array of results: id, error, stage, offset.
constexpr size_t kResultLength = 4;

struct Environment {
  napi_env env = nullptr;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  // Called with the number of outcomes that `results` has. It holds on to the buffers of what is in flight.
  napi_ref reap = nullptr;
  // Shared with JavaScript: outcomes of what was handed over.
  napi_ref results_reference = nullptr;
  double* results = nullptr;
  size_t results_capacity = 0;
  // Shared with JavaScript: the outcome of a call that was waited for. One more than `results` has, at its end.
  double* status = nullptr;

  static Environment& of(napi_env env);
};

void write_outcome(double* at, uint32_t id, const Outcome& outcome);

// Takes the arrays and the function of a thread, and makes its inbox. Throws if there is one. start(reap, results)
napi_value start(napi_env env, napi_callback_info info);

}  // namespace pagewright
